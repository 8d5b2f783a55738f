"""The launcher, the locks, and what a clone must hold so that it works elsewhere."""

import ast
import doctest
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import urllib.request
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Thread

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
TASK = ROOT / "task"
LOCKS = sorted(path for path in ROOT.glob("requirements/*.txt") if path.stem != "peers")


def tracked_files():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a clone: git knows no file here")
    return [name for name in listed.stdout.split("\0") if name and (ROOT / name).exists()]


# Which Python


@pytest.mark.parametrize("version", [(2, 7, 18), (3, 6, 15), (3, 10, 13), (3, 14, 0), (4, 0, 0)])
def test_another_python_gets_one_sentence(version):
    code = f"import runpy, sys; sys.version_info = {version}; runpy.run_path({str(TASK)!r})"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert said.returncode == 1
    assert said.stderr.count("\n") == 1
    assert f"this is Python {version[0]}.{version[1]};" in said.stderr
    assert "3.11, 3.12 or 3.13" in said.stderr


def old_pythons():
    names = ["python2.7", *(f"python3.{minor}" for minor in range(5, 11))]
    found = [Path(path) for name in names if (path := shutil.which(name))]
    found += Path.home().glob(".pyenv/versions/*/bin/python")
    for path in found:
        code = "import sys; print(sys.version_info[:2] < (3, 11))"
        said = subprocess.run([path, "-c", code], capture_output=True, text=True)
        if said.stdout.strip() == "True":
            yield path


def test_real_old_pythons_get_one_sentence():
    pythons = list(old_pythons())
    if not pythons:
        pytest.skip("no Python older than 3.11 here")
    for python in pythons:
        said = subprocess.run([python, TASK, "book"], capture_output=True, text=True)
        assert (said.returncode, said.stderr.count("\n")) == (1, 1), said.stderr


def test_source_holds_nothing_that_an_old_python_cannot_parse():
    source = TASK.read_bytes()
    tree = ast.parse(source, feature_version=(3, 4))
    new = (ast.JoinedStr, ast.NamedExpr, ast.YieldFrom, ast.Starred, ast.Nonlocal)
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    # f(*list) is old, [*list] and f(*list, more) are not
    starred = {id(node.args[-1]) for node in calls if node.args}
    found = [n.lineno for n in ast.walk(tree) if isinstance(n, new) and id(n) not in starred]
    assert source.isascii() and not found


# The environment


@pytest.fixture
def elsewhere(task, tmp_path, monkeypatch):
    """The launcher in another folder, with spaces in its name, that notes what it would install."""
    root = tmp_path / "a folder"
    shutil.copytree(ROOT / "requirements", root / "requirements")
    shutil.copy(ROOT / "pyproject.toml", root)
    move_launcher(task, monkeypatch, root)
    done = []

    def make_environment():
        done.append("made")
        shutil.rmtree(task.VENV, ignore_errors=True)
        task.SCRIPTS.mkdir(parents=True)
        task.PYTHON.touch()

    monkeypatch.setattr(task, "make_environment", make_environment)
    monkeypatch.setattr(task, "install", lambda *what: done.append(os.path.basename(what[-1])))
    task.done = done
    return task


def move_launcher(task, monkeypatch, root):
    old = task.ROOT
    for name in ("BUILD", "LOCKS", "VENV", "SCRIPTS", "PYTHON", "STAMP", "UNFINISHED", "ROOT"):
        monkeypatch.setattr(task, name, root / getattr(task, name).relative_to(old))


def test_second_set_up_does_nothing(elsewhere):
    elsewhere.prepare("read")
    assert elsewhere.done == ["made", "read.txt", "."]
    elsewhere.prepare("read")
    assert elsewhere.done == ["made", "read.txt", "."]


def test_environment_for_tests_serves_readers_but_not_the_other_way(elsewhere):
    elsewhere.prepare("read")
    elsewhere.prepare("test")
    assert elsewhere.done == ["made", "read.txt", ".", "test.txt", "."]
    elsewhere.prepare("read")
    assert elsewhere.done == ["made", "read.txt", ".", "test.txt", "."]


@pytest.mark.parametrize("name", ["pyproject.toml", "requirements/read.txt"])
def test_changed_lock_is_installed_over_the_old_one(elsewhere, name):
    elsewhere.prepare("read")
    with (elsewhere.ROOT / name).open("a") as file:
        file.write("# another\n")
    elsewhere.prepare("read")
    assert elsewhere.done == ["made", "read.txt", ".", "read.txt", "."]


def test_interrupted_set_up_is_made_anew(elsewhere, monkeypatch):
    def interrupted(*what):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(elsewhere, "install", interrupted)
        elsewhere.prepare("read")
    elsewhere.prepare("read")
    assert elsewhere.done == ["made", "made", "read.txt", "."]


def test_environment_in_a_moved_folder_is_made_anew(elsewhere, monkeypatch):
    elsewhere.prepare("read")
    moved = elsewhere.ROOT.rename(elsewhere.ROOT.with_name("another folder"))
    move_launcher(elsewhere, monkeypatch, moved)
    elsewhere.prepare("read")
    assert elsewhere.done == ["made", "read.txt", "."] * 2


@pytest.mark.skipif(os.name == "nt", reason="links need a permission there")
def test_environment_behind_a_link_is_left_alone(task, tmp_path, monkeypatch):
    import venv

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "pyvenv.cfg").write_text("of another copy")
    monkeypatch.setattr(task, "VENV", tmp_path / ".venv")
    task.VENV.symlink_to(elsewhere, target_is_directory=True)
    monkeypatch.setattr(
        venv, "create", lambda folder, **options: shutil.rmtree(folder, ignore_errors=True)
    )
    task.make_environment()
    assert (elsewhere / "pyvenv.cfg").read_text() == "of another copy"
    assert not task.VENV.exists()


def test_missing_venv_module_is_explained(task, monkeypatch):
    monkeypatch.setattr(task.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match="python3-venv"):
        task.make_environment()


def test_uv_that_fails_is_followed_by_pip_and_then_by_advice(task, tmp_path, monkeypatch, capsys):
    commands = []

    def follow(command, log, *choose):
        commands.append(command[:3])
        log.write_text("no route to host\n")
        return 2

    monkeypatch.setattr(task, "VENV", tmp_path)
    monkeypatch.setattr(task, "find_uv", lambda: "uv")
    monkeypatch.setattr(task, "follow", follow)
    with pytest.raises(SystemExit, match="network"):
        task.install("-r", "lock")
    assert commands == [["uv", "pip", "install"], [task.PYTHON, "-m", "pip"]]
    assert "no route to host" in capsys.readouterr().out


def test_children_see_one_thread_one_seed_and_no_other_packages(task, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/of/another/project")
    monkeypatch.setenv("MPLBACKEND", "TkAgg")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "mirror")
    seen = task.environment()
    assert (seen["OMP_NUM_THREADS"], seen["PYTHONHASHSEED"], seen["UV_DEFAULT_INDEX"]) == (
        "1",
        "0",
        "mirror",
    )
    assert not {"PYTHONPATH", "MPLBACKEND"} & set(seen)


# Commands


def launch(task, monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["task", *arguments])
    task.main()


@pytest.mark.parametrize(
    ("accident", "sentence"),
    [
        (KeyboardInterrupt(), "Stopped"),
        (PermissionError(13, "Permission denied", ".venv"), r"task: .*Permission denied: '\.venv'"),
    ],
)
def test_accident_ends_in_one_sentence(task, monkeypatch, accident, sentence):
    def fail(lock):
        raise accident

    monkeypatch.setattr(task, "prepare", fail)
    with pytest.raises(SystemExit, match=sentence):
        launch(task, monkeypatch, "setup")


def test_further_arguments_go_to_pytest(task, monkeypatch):
    ran = []
    for name in ("prepare", "build"):
        monkeypatch.setattr(task, name, lambda *arguments: None)
    monkeypatch.setattr(task, "run", lambda *command: ran.extend(command))
    launch(task, monkeypatch, "test", "-k", "silver", "tests/test_descent.py", "--lf")
    assert ran[:2] == ["-m", "pytest"] and "loadfile" in ran
    assert ran[-4:] == ["-k", "silver", "tests/test_descent.py", "--lf"]


def test_unknown_argument_is_refused(task, monkeypatch, capsys):
    with pytest.raises(SystemExit):
        launch(task, monkeypatch, "book", "--onyl", "index")
    assert "--onyl" in capsys.readouterr().err


def test_unknown_chapter_lists_the_chapters():
    command = [sys.executable, str(TASK), "book", "--only", "smoth-regime"]
    said = subprocess.run(command, capture_output=True, text=True, cwd=ROOT.parent)
    assert said.returncode == 1
    for path in ROOT.glob("chapters/*.md"):
        assert path.stem in said.stderr


@pytest.fixture
def build(task, tmp_path, monkeypatch):
    """A build of nothing whose exit code is given."""
    move_launcher(task, monkeypatch, tmp_path)
    monkeypatch.setattr(task, "prepare", lambda lock: None)

    def build(code):
        monkeypatch.setattr(task, "follow", lambda *command: code)
        return task.build()

    return build


@pytest.mark.parametrize("end", [1, KeyboardInterrupt])
def test_failed_build_is_repeated_from_the_start(task, build, monkeypatch, end):
    remembered = task.BUILD / ".doctrees" / "environment.pickle"
    with monkeypatch.context() as patch, pytest.raises((SystemExit, KeyboardInterrupt)):
        if end == 1:
            build(1)
        patch.setattr(task, "jupyter_book", lambda *arguments: (_ for _ in ()).throw(end))
        task.build()
    remembered.parent.mkdir(parents=True)
    remembered.touch()
    assert build(0) == task.BUILD / "html" / "index.html"
    assert not remembered.exists()


def test_good_build_is_continued(task, build):
    build(0)
    remembered = task.BUILD / ".doctrees" / "environment.pickle"
    remembered.parent.mkdir()
    remembered.touch()
    build(0)
    assert remembered.exists()


def test_command_is_logged_whole_and_shown_in_part(task, tmp_path, capfd):
    code = """if True:
        import sys
        print("reading sources... [ 50%] \\x1b[35mindex\\x1b[0m")
        print("chatter")
        print("page.md: WARNING: undefined label: 'é'", file=sys.stderr)
        sys.exit(3)
    """
    command, log = [sys.executable, "-c", code], tmp_path / "log of it"
    assert task.follow(command, log, task.progress, task.faults) == 3
    shown = capfd.readouterr().out.split("\n")
    assert sorted(shown) == [
        "",
        "page.md: WARNING: undefined label: 'é'",
        "reading [ 50%] index",
    ]
    assert set(log.read_text(encoding="utf-8").split("\n")) == {
        *("", "reading sources... [ 50%] index", "chatter"),
        "page.md: WARNING: undefined label: 'é'",
    }


COMPLAINTS = """[IPKernelApp] WARNING | Kernel is running over TCP without encryption.
/book/page.md: WARNING: Executing notebook failed: CellExecutionError
Traceback (most recent call last):
  File "client.py", line 58, in run
    run(
CellExecutionError: An error occurred
assert x == 2

AssertionError                 Traceback (most recent call last)
Cell In[2], line 1
/book/page.md:15: WARNING: undefined label: 'thm-elsewhere'
Exception occurred:
  File "cache.py", line 89, in start_client
RuntimeError: There was an error""".splitlines()


def test_faults_are_shown_without_frames(task):
    shown = list(task.faults(COMPLAINTS))
    assert shown == [*COMPLAINTS[1:2], *COMPLAINTS[5:7], *COMPLAINTS[8:11]]
    assert list(task.faults_in_itself(COMPLAINTS)) == shown[:-1]


@contextmanager
def serving(server):
    with server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_server_takes_the_next_free_port(task, tmp_path):
    (tmp_path / "a figure.js").write_text("export const a = 1;")
    with serving(task.server(tmp_path, [0])) as first:
        taken = int(first.split(":")[2].strip("/"))
        with serving(task.server(tmp_path, [taken, 0])) as second:
            assert first != second
            with closing(urllib.request.urlopen(second + "a%20figure.js")) as answer:
                assert answer.read() == b"export const a = 1;"
                assert answer.headers["Content-Type"] == "text/javascript"
                assert answer.headers["Cache-Control"] == "no-cache"
        with pytest.raises(SystemExit, match="free"):
            task.server(tmp_path, [taken])


# The locks


def pins(path):
    entries = re.split(r"\n(?=\S)", path.read_text(encoding="utf-8").strip())
    return [re.match(r"([\w.-]+)==([\w.]+)", entry).groups() for entry in entries]


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.stem)
def test_lock_has_one_version_a_package_hashes_and_no_address(path):
    text = path.read_text(encoding="utf-8")
    names = [name for name, version in pins(path)]
    assert len(names) == len(set(names))
    assert "://" not in text and "--index" not in text
    for entry in re.split(r"\n(?=\S)", text):
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry


def test_readers_get_what_is_tested():
    tested = set(pins(ROOT / "requirements" / "test.txt"))
    assert set(pins(ROOT / "requirements" / "read.txt")) < tested


def declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    lists = [
        project["project"]["dependencies"],
        *project["project"]["optional-dependencies"].values(),
        *project["dependency-groups"].values(),
    ]
    return [name for names in lists for name in names if isinstance(name, str)]


@pytest.mark.parametrize("requirement", declared())
def test_dependency_is_locked_and_says_what_it_is_for(requirement):
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert re.search(rf'"{re.escape(requirement)}"[],]* +# \w.{{8,}}', text)
    name = re.match(r"[\w-]+", requirement)[0].lower()
    assert name in dict(pins(ROOT / "requirements" / "test.txt"))


# The clone


def test_no_address_of_a_registry_or_a_machine_is_tracked():
    hosts = ["pypi" + ".org", "python" + "hosted", "npm" + "js", "ana" + "conda", "jsde" + "livr"]
    paths = [r"/ro" + "ot/", r"/ho" + r"me/\w", r"/Us" + r"ers/\w", "/wo" + "rk/main"]
    forbidden = re.compile("|".join([*hosts, *paths]).encode())
    for name in tracked_files():
        found = forbidden.search((ROOT / name).read_bytes())
        assert not found or name.endswith(".png"), f"{name}: {found[0]}"


def test_no_notebook_and_no_generated_file_is_tracked():
    generated = re.compile(r"\.ipynb$|\.pyc$|^_build/|^\.venv/|\.egg-info/|^uv\.lock$")
    assert not [name for name in tracked_files() if generated.search(name)]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permission")
@pytest.mark.parametrize("name", ["task", "postBuild", ".ci/run"])
def test_is_executable(name):
    assert os.access(ROOT / name, os.X_OK)


def test_licences_name_their_holder():
    for name in ("LICENSE", "LICENSE-TEXT"):
        assert "The authors of Beyond 2/L" in (ROOT / name).read_text(encoding="utf-8")
    assert "CC BY 4.0" in (ROOT / "LICENSE-TEXT").read_text(encoding="utf-8")


def test_citation_agrees_with_the_package():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert citation["license"] == project["license"]
    assert citation["authors"] == project["authors"]
    assert {"cff-version", "message", "title"} < set(citation)


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "chapters/index.md", "task"])
def test_commands_in_the_text_exist(task, name):
    text = (ROOT / name).read_text(encoding="utf-8")
    for command in re.findall(r"(?:\./|py )task ([a-z]+)", text):
        assert callable(getattr(task, command, None)), command
    for chapter in re.findall(r"--only ([a-z][\w-]+)", text):
        assert (ROOT / "chapters" / f"{chapter}.md").exists(), chapter


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_to_files_lead_somewhere(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#]+)", text) + re.findall(r'src="([^"]+)"', text)
    missing = [link for link in links if "://" not in link and not (ROOT / link).exists()]
    assert not missing


def test_binder_installs_the_lock_and_opens_text_as_notebooks():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    assert environment["dependencies"][0] == "python=3.11"
    assert environment["dependencies"][-1] == {"pip": ["-r requirements/read.txt"]}
    script = (ROOT / "postBuild").read_text(encoding="utf-8")
    settings = json.loads(script.split("JSON'\n")[1].split("JSON")[0].strip())
    viewers = settings["@jupyterlab/docmanager-extension:plugin"]["defaultViewers"]
    assert viewers == {"markdown": "Jupytext Notebook", "myst": "Jupytext Notebook"}


@pytest.mark.parametrize("path", sorted(ROOT.glob(".github/workflows/*.yml")), ids=lambda p: p.stem)
def test_workflow_may_do_little_and_pins_its_actions(path):
    text = path.read_text(encoding="utf-8")
    assert yaml.safe_load(text)["permissions"] == {"contents": "read"}
    for action in re.findall(r"uses: (\S+)", text):
        assert re.fullmatch(r"actions/[\w-]+@v\d+", action), action


def test_every_supported_python_is_checked():
    ci = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    versions = ci["jobs"]["everything"]["strategy"]["matrix"]["python"]
    low, high = re.search(r"not \((3, \d+)\) <= .* <= \((3, \d+)\)", TASK.read_text()).groups()
    first, last = int(low.split()[1]), int(high.split()[1])
    assert versions == [f"3.{minor}" for minor in range(first, last + 1)]


def test_examples_of_the_readme_run():
    failed, tried = doctest.testfile(str(ROOT / "README.md"), module_relative=False)
    assert tried >= 4 and not failed


def test_picture_of_the_readme_is_small_enough_for_every_clone():
    assert (ROOT / "book" / "picture.png").stat().st_size < 200_000
