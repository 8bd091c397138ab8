from afanalysis.study import folders
from afanalysis.study.folders import PAPER, Folders


def test_everything_of_a_study_is_within_its_three_folders(tmp_path):
    study = Folders(str(tmp_path), "demo")
    homes = [study.raw, study.processed, study.figures]
    assert all(home.name == "demo" for home in homes)
    for name in ("table", "report", "latex", "notebooks", "record"):
        assert study.processed in getattr(study, name).parents, name


def test_the_docs_name_every_file_of_a_study(project):
    page = (project / "docs" / "data.md").read_text()
    names = {value for name, value in vars(folders).items() if name.isupper()} - {PAPER}
    assert len(names) >= 10
    for name in names:
        assert name in page, name
