"""Other tools' logs, made into studies of this package, and studies made into other tools' logs."""
