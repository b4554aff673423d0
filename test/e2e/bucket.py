"""Real servers of objects for tests (S3, Azure, Google), and readers of what a flow writes there: pyarrow's file systems, and DuckDB,
which take from the manifest which objects count."""

import atexit
import base64
import datetime
import hashlib
import hmac
import json
import os
import subprocess
import sys
from urllib.parse import urlencode, urlparse

from e2e.harness import SOURCE_DIR, wait_until

DEPS_DIR = os.environ.get("WALLABY_DEPS_DIR") or os.path.join(SOURCE_DIR, ".deps")
BUCKET, ACCESS_KEY, SECRET_KEY = "test", "admin", "secretsecret"
AZURE_ACCOUNT = "devstoreaccount1"
# That of every Azurite: no secret.
AZURE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

# docs/destinations/s3.md and azure.md show this, for one table.
NAMED_FILES = """
  SET VARIABLE lake = '{lake}';
  SET VARIABLE manifest = getvariable('lake') || '_wallaby/{name}/manifest.json';
  CREATE OR REPLACE TEMP TABLE manifest AS FROM read_json(getvariable('manifest'), columns = {{
    files: 'STRUCT(path VARCHAR, "table" VARCHAR, "rows" BIGINT)[]', lists: 'STRUCT(path VARCHAR)[]'}});
  SET VARIABLE lists = (SELECT list(getvariable('lake') || l.path) FROM (SELECT unnest(lists) AS l FROM manifest));
  CREATE OR REPLACE TEMP TABLE named AS
    SELECT f.path, f."table", f."rows" FROM (SELECT unnest(files) AS f FROM manifest)
    UNION ALL
    FROM read_json([getvariable('manifest')] || coalesce(getvariable('lists'), []), format = 'newline_delimited',
                   columns = {{path: 'VARCHAR', "table": 'VARCHAR', "rows": 'BIGINT'}}) WHERE path IS NOT NULL;
"""

# The readers' own DuckDB: its extensions fit one version exactly.
RUN_DUCKDB = """
import json, sys
import duckdb, duckdb_extension_avro, duckdb_extension_azure, duckdb_extension_httpfs
request = json.load(sys.stdin)
connection = duckdb.connect(config={"allow_unsigned_extensions": "false", "home_directory": request["home"]})
for package in (duckdb_extension_httpfs, duckdb_extension_azure, duckdb_extension_avro):
    name = package.__name__.removeprefix("duckdb_extension_")
    folder = package.__file__.rsplit("/", 1)[0]
    connection.execute(f"LOAD '{folder}/extensions/v{duckdb.__version__}/{name}.duckdb_extension'")
connection.execute("SET enable_progress_bar = false")  # it would stand between the rows
for statement in request["statements"]:
    connection.execute(statement)
rows = connection.execute(request["query"]).fetchall()
json.dump([[None if value is None else str(value) for value in row] for row in rows], sys.stdout)
"""


class Bucket:
    """A throwaway server with a bucket, of S3's API. Stops at exit."""

    type, script, start = "s3", "seaweed", ["start"]
    keeps_objects = True  # when it is killed

    def __init__(self):
        self.script = os.path.join(SOURCE_DIR, "test/servers", self.script)
        line = subprocess.run([self.script, *self.start], check=True, capture_output=True, text=True).stdout.strip().splitlines()[-1]
        self.url, self.directory = line.split("\t")
        atexit.register(self.stop)

    def _script(self, verb):
        subprocess.run([self.script, verb, self.directory], check=True, capture_output=True)

    def kill(self):
        self._script("kill")

    def restart(self):
        self._script("restart")

    def stop(self):
        if self.directory:
            self._script("stop")
            self.directory = None

    def options(self, **others):
        """Of a destination of this type."""
        return {"bucket": BUCKET, "endpoint": self.url, "access_key": ACCESS_KEY, "secret_key": SECRET_KEY, **others}

    def store(self):
        """As pyarrow sees it."""
        from pyarrow import fs
        url = urlparse(self.url)
        return fs.S3FileSystem(access_key=ACCESS_KEY, secret_key=SECRET_KEY, endpoint_override=url.netloc, scheme=url.scheme,
                               region="us-east-1")

    def read(self, key):
        """The object. A server that was just started again answers some requests with 500 for a while."""
        def content():
            try:
                with self.store().open_input_stream(f"{BUCKET}/{key}", compression=None) as stream:
                    return [stream.read()]
            except FileNotFoundError:
                raise
            except OSError as error:
                self.trouble = error
                return None
        return wait_until(content, 60, lambda: f"an answer for {key} ({self.trouble})", interval=0.2)[0]

    def keys(self, prefix):
        from pyarrow import fs
        found = self.store().get_file_info(fs.FileSelector(f"{BUCKET}/{prefix}", recursive=True, allow_not_found=True))
        return [info.path.split("/", 1)[1] for info in found if info.type == fs.FileType.File]

    def manifest(self, prefix, flow_id, destination):
        return json.loads(self.read(f"{prefix}/_wallaby/{flow_id}-{destination}/manifest.json"))

    def named(self, prefix, flow_id, destination):
        """Every file that the manifest and its lists name."""
        manifest, files = self.manifest(prefix, flow_id, destination), []
        for entry in manifest["lists"]:
            files += [json.loads(line) for line in self.read(f"{prefix}/{entry['path']}").splitlines()]
        return files + manifest["files"]

    def lake(self, prefix):
        """Where DuckDB finds the objects, and a statement that lets it."""
        return f"s3://{BUCKET}/{prefix}/", (f"CREATE SECRET (TYPE s3, KEY_ID '{ACCESS_KEY}', SECRET '{SECRET_KEY}', "
                                            f"ENDPOINT '{urlparse(self.url).netloc}', URL_STYLE 'path', USE_SSL false)")

    def duckdb(self, prefix, flow_id, destination, query, statements=()):
        """Rows of a query, all values as text; `named` has the files of the manifest, variable `lake` the place."""
        lake, access = self.lake(prefix)
        named = NAMED_FILES.format(lake=lake, name=f"{flow_id}-{destination}")
        request = {"home": self.directory, "statements": [access, named, *statements], "query": query}
        result = subprocess.run([sys.executable, "-c", RUN_DUCKDB], input=json.dumps(request), capture_output=True, text=True,
                                env={**os.environ, "PYTHONPATH": os.path.join(DEPS_DIR, "duckdb-readers")})
        if result.returncode != 0:
            raise AssertionError(f"DuckDB: {result.stderr.strip()[-2000:]}\n{query}")
        return json.loads(result.stdout)


class AzureContainer(Bucket):
    """Of Azure's API."""

    type, script, start, keeps_objects = "azure", "cloud", ["start", "azure"], False

    def endpoint(self):
        return f"{self.url}/{AZURE_ACCOUNT}"

    def connection_string(self):
        return f"DefaultEndpointsProtocol=http;AccountName={AZURE_ACCOUNT};AccountKey={AZURE_KEY};BlobEndpoint={self.endpoint()}"

    def sas_token(self, rights):
        """For the container, for an hour."""
        until = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        version = "2021-12-02"
        text = "\n".join([rights, "", until, f"/blob/{AZURE_ACCOUNT}/{BUCKET}", "", "", "", version, "c"] + [""] * 7)
        signature = base64.b64encode(hmac.digest(base64.b64decode(AZURE_KEY), text.encode(), hashlib.sha256)).decode()
        return urlencode({"sv": version, "sr": "c", "sp": rights, "se": until, "sig": signature})

    def options(self, **others):
        return {"container": BUCKET, "connection_string": self.connection_string(), **others}

    def store(self):
        from pyarrow import fs
        host = urlparse(self.url).netloc
        return fs.AzureFileSystem(AZURE_ACCOUNT, account_key=AZURE_KEY, blob_storage_authority=host, dfs_storage_authority=host,
                                  blob_storage_scheme="http", dfs_storage_scheme="http")

    def lake(self, prefix):
        return f"az://{BUCKET}/{prefix}/", f"CREATE SECRET (TYPE azure, CONNECTION_STRING '{self.connection_string()}')"


class GcsBucket(Bucket):
    """Of Google's API."""

    type, script, start, keeps_objects = "gcs", "cloud", ["start", "gcs"], False

    def options(self, **others):
        return {"bucket": BUCKET, "endpoint": self.url, **others}

    def store(self):
        from pyarrow import fs
        return fs.GcsFileSystem(anonymous=True, scheme="http", endpoint_override=urlparse(self.url).netloc)

    def lake(self, prefix):
        """A copy in a folder: DuckDB speaks to Google in S3's words, and the emulator does not know these."""
        for key in self.keys(prefix):
            path = os.path.join(self.directory, "copy", key)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(self.read(key))
        return os.path.join(self.directory, "copy", prefix) + "/", "SELECT 1"


def files_of(table):
    """A statement that puts the table's objects into the variable `files`."""
    return f"""SET VARIABLE files = (SELECT list(getvariable('lake') || path) FROM named WHERE "table" = '{table}')"""
