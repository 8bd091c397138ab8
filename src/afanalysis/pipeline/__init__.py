"""Run the numbered notebooks: only what changed, one study or many."""
