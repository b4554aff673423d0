"""The files of the image, tried without a container engine: the programs run in a root that holds nothing else."""

import os
import pathlib
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).parent
SOURCE = HERE.parents[2]
BUILD = pathlib.Path(os.environ["WALLABY_BIN_DIR"]).parent
PROGRAMS = ["wallaby", "wallaby-admin", "wallaby-worker"]
MODULES = {"columnar", "duckdb", "files", "grpc", "http", "kafka", "otlp"}
LOADER = "/lib64/ld-linux-x86-64.so.2"


@unittest.skipUnless(os.geteuid() == 0, "needs root, as a build of the image does")
class ImageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # Beside the build, not in /tmp, which is small on some machines.
        cls.work = tempfile.mkdtemp(prefix="image.", dir=BUILD)
        os.chmod(cls.work, 0o755)
        cls.root = pathlib.Path(cls.work, "root")
        cls.addClassCleanup(shutil.rmtree, cls.work)
        subprocess.run([HERE.parent / "runtime-files", BUILD, cls.root], check=True)

    def inside(self, command):
        done = subprocess.run([sys.executable, HERE / "enter_image.py", self.root, command], capture_output=True, text=True,
                              timeout=60, check=False)
        return done

    def modules(self):
        return [f"/usr/local/lib/wallaby/{path.name}" for path in (self.root / "usr/local/lib/wallaby").iterdir()]

    def test_programs_start(self):
        for program in PROGRAMS:
            done = self.inside(f"{program} -version")
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertRegex(done.stdout, rf"^{program} \d+\.\d+\.\d+")

    def test_modules_load(self):
        self.assertEqual({pathlib.Path(module).stem for module in self.modules()}, MODULES)
        for module in self.modules():
            # All symbols are looked up at once; a library or symbol that is missing is told on stderr.
            done = self.inside(f"LD_BIND_NOW=1 LD_PRELOAD={module} /usr/bin/true")
            self.assertEqual((done.returncode, done.stderr), (0, ""), module)

    def test_libraries_are_those_asked_for(self):
        files = [f"/usr/local/bin/{program}" for program in PROGRAMS] + self.modules() + [
            f"/usr/bin/{name}" for name in ("sh", "sleep", "true")]
        done = self.inside("; ".join(f"{LOADER} --list {file}" for file in files))
        self.assertEqual(done.stderr, "")
        self.assertNotIn("not found", done.stdout)
        asked = set()
        for path in re.findall(r"(?:=> |^\s+)(/\S+) \(0x", done.stdout, re.M):
            asked.add((self.root / path.lstrip("/")).resolve())
        there = {path.resolve() for folder in ("usr/lib/x86_64-linux-gnu", "usr/lib64", "usr/local/lib")
                 for path in (self.root / folder).glob("*.so*")}
        self.assertEqual(there, asked)
        self.assertGreater(len(asked), 60)

    def test_server_on_a_read_only_root(self):
        done = self.inside(
            "touch /x 2>/dev/null && echo writable;"
            # Nobody listens there: the module that sends must load and go on.
            "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1 WALLABY_ADMIN_LISTEN=127.0.0.1:8081 wallaby & server=$!;"
            "n=0; until wallaby-admin flow list >/dev/null 2>&1 || [ $n = 100 ]; do sleep 0.1; n=$((n+1)); done;"
            "wallaby-admin flow list; echo status $?; kill $server; wait $server; echo ended $?")
        self.assertIn("status 0", done.stdout, done.stderr)
        self.assertIn("ended 0", done.stdout, done.stderr)
        self.assertNotIn("writable", done.stdout)
        self.assertIn('"from":"otlp"', done.stderr)

    def test_only_two_places_belong_to_others_than_root(self):
        writable, owned = set(), set()
        for path in self.root.rglob("*"):
            if path.is_symlink():
                continue
            status = path.lstat()
            name = str(path.relative_to(self.root))
            self.assertFalse(status.st_mode & (stat.S_ISUID | stat.S_ISGID), name)
            if status.st_mode & stat.S_IWOTH:
                writable.add(name)
            if status.st_uid != 0:
                owned.add(name)
        self.assertEqual((writable, owned), ({"tmp"}, {"var/lib/wallaby"}))

    def test_licences(self):
        named = {path.name for path in (self.root / "usr/share/doc").iterdir() if any(path.iterdir())}
        packages = {path.name for path in (self.root / "var/lib/dpkg/status.d").iterdir()}
        self.assertLessEqual({"wallaby", "duckdb", "arrow", "libc6", "libpq5"}, named)
        # All but packages that were built here have a copyright file.
        self.assertEqual(packages - named, set())

    def test_links_lead_somewhere(self):
        for path in self.root.rglob("*"):
            if path.is_symlink():
                target = os.readlink(path)
                target = self.root / target.lstrip("/") if target.startswith("/") else path.parent / target
                self.assertTrue(os.path.lexists(target), path)


class DockerfileTest(unittest.TestCase):
    """What can be said of the Dockerfile from its text."""

    @classmethod
    def setUpClass(cls):
        text = (HERE.parent / "Dockerfile").read_text().replace("\\\n", " ")
        cls.steps = [line.split(None, 1) for line in text.splitlines() if line.strip() and not line.startswith("#")]

    def test_base_and_user(self):
        bases = [rest.split()[0] for word, rest in self.steps if word == "FROM"]
        self.assertEqual(bases, ["debian:12", "scratch"])
        self.assertEqual([rest for word, rest in self.steps if word == "USER"], ["10001:10001"])

    def test_what_is_copied_exists_and_is_not_ignored(self):
        ignored = [line for line in (SOURCE / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
        copied = [word for step, rest in self.steps if step == "COPY" and "--from" not in rest for word in rest.split()[:-1]]
        self.assertGreater(len(copied), 5)
        for name in copied:
            self.assertTrue((SOURCE / name).exists(), name)
        self.assertEqual(ignored[0], "*")
        kept = {line[1:] for line in ignored if line[0] == "!"}
        self.assertEqual({name for name in copied if not any(name == k or name.startswith(k + "/") for k in kept)}, set())

    def test_what_is_copied_is_enough_to_build(self):
        with tempfile.TemporaryDirectory() as folder:
            tree = pathlib.Path(folder)
            for step, rest in self.steps:
                if step != "COPY" or "--from" in rest:
                    continue
                *names, to = rest.split()
                for name in names:
                    if (SOURCE / name).is_dir():
                        shutil.copytree(SOURCE / name, tree / to, symlinks=True)
                    else:
                        shutil.copy(SOURCE / name, tree / to / name)
            (tree / ".deps").symlink_to(pathlib.Path(os.environ.get("WALLABY_DEPS_DIR", SOURCE / ".deps")).resolve())
            subprocess.run(["bash", "-n", tree / "dev"], check=True)
            subprocess.run(["cmake", "--preset", "release", "--log-level=WARNING", "-DWALLABY_BUILD_TESTS=0"], cwd=tree, check=True,
                           stdout=subprocess.DEVNULL)
            # Without building: whether there is a way to make everything.
            done = subprocess.run(["ninja", "-C", tree / "build/release", "-n", "programs"], capture_output=True, text=True,
                                  check=False)
            self.assertEqual(done.returncode, 0, done.stdout[-2000:] + done.stderr)
            for output in ("bin/wallaby-worker", "lib/wallaby/duckdb.so", "lib/wallaby/files.so", "lib/wallaby/otlp.so"):
                self.assertIn(output, done.stdout)


if __name__ == "__main__":
    unittest.main()
