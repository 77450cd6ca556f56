"""The notebook: it runs from top to bottom, shows clips in the page, and is small in
git."""

from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "examples" / "quickstart.ipynb"
MOST_BYTES = 20_000


def read_notebook() -> nbformat.NotebookNode:
    return nbformat.read(NOTEBOOK, as_version=4)


def code_of(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_the_stored_notebook_has_no_outputs():
    notebook = read_notebook()
    nbformat.validate(notebook)
    assert all(not cell.outputs for cell in code_of(notebook))
    assert NOTEBOOK.stat().st_size < MOST_BYTES


def test_the_notebook_runs_and_shows_clips(tmp_path, monkeypatch):
    # The kernel finds this checkout, wherever it runs.
    monkeypatch.setenv("PYTHONPATH", str(NOTEBOOK.parents[1]))
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    notebook = read_notebook()
    client = NotebookClient(
        notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    pages = []
    for cell in code_of(notebook):
        for output in cell.outputs:
            assert output.output_type != "error"
            pages.append(output.get("data", {}).get("text/html", ""))
    videos = [page for page in pages if 'src="data:video/mp4;base64,' in page]
    assert len(videos) == 2
    assert (tmp_path / "talking.mp4").stat().st_size > 10_000
    # The smile is there: its line is the page's last.
    (text,) = [output.text for output in code_of(notebook)[-1].outputs]
    assert int(text.split()[-1]) > 500
