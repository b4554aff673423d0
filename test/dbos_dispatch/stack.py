"""What the tests of DBOS dispatch share: a PostgreSQL with source and system database, servers on it, the official client."""

import json
import os
import urllib.error
import urllib.request

from dbos import DBOSClient, WorkflowSerializationFormat

from e2e.harness import PostgresTest, Wallaby, free_port, source_endpoint, sql, wait_until

KEY = "5" * 64


class DbosTest(PostgresTest):
    def setUp(self):
        name = self.id().rsplit(".", 1)[1]
        self.system = self.postgres.database("sys_" + name)
        self.source = self.postgres.database("src_" + name)
        self.slot = "slot_" + name[:40]
        sql(self.source, "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")

    def server(self, executor="local", start=True, **env):
        """A server on the common system database."""
        admin = free_port()
        wallaby = Wallaby({"WALLABY_POSTGRES_DSN": self.system, "WALLABY_DBOS_ENABLED": "true", "DBOS__VMID": executor,
                           "WALLABY_SECRET_KEY": KEY, "WALLABY_ADMIN_LISTEN": f"127.0.0.1:{admin}", **env})
        wallaby.address = f"127.0.0.1:{admin}"
        self.addCleanup(wallaby.close)
        return wallaby.start() if start else wallaby

    def client(self, **options):
        client = DBOSClient(system_database_url=self.system, application_name="wallaby", **options)
        self.addCleanup(client.destroy)
        return client

    def flow(self, wallaby, flow_id="shop", start=True, dsn=None):
        """A flow into the null destination."""
        slot = self.slot if flow_id == "shop" else f"{self.slot[:40]}_{flow_id}"
        wallaby.create({"name": flow_id, "id": flow_id, "source": source_endpoint(
            dsn or self.source, slot=slot, publication="p_" + flow_id, publication_tables="public.t"),
            "destinations": [{"name": "null", "type": "null", "options": {}}]}, start=start)
        return flow_id

    def await_streaming(self, wallaby, flow_id="shop"):
        wait_until(lambda: wallaby.get(flow_id).get("activity") == "streaming", 30, "streaming\n" + wallaby.log()[-2000:])

    def runs(self, columns="workflow_uuid, status", where="true"):
        order = "" if columns.startswith("count(") else "ORDER BY created_at, workflow_uuid"
        return [tuple(row) for row in sql(self.system, f"SELECT {columns} FROM dbos.workflow_status WHERE {where} {order}")]

    def row(self, workflow_id, columns="status"):
        (row,) = self.runs(columns, f"workflow_uuid = '{workflow_id}'")
        return row if len(row) > 1 else row[0]

    def active(self, flow_id="shop"):
        """The id of the flow's one run that is queued or runs."""
        rows = self.runs("workflow_uuid", "status IN ('ENQUEUED', 'PENDING') AND attributes @> "
                                          f"'{json.dumps({'flow_id': flow_id})}'")
        return rows[0][0] if len(rows) == 1 else None


def portable(flow_id_or_name, **options):
    return {"workflow_name": "wallaby.run_flow", "queue_name": "wallaby",
            "serialization_type": WorkflowSerializationFormat.PORTABLE, "workflow_id": flow_id_or_name, **options}


def ask(wallaby, method, path, body=None):
    """(status, decoded body) of an admin endpoint."""
    data = None if body is None else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    request = urllib.request.Request(f"http://{wallaby.address}{path}", data=data, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            text, status = answer.read().decode(), answer.status
    except urllib.error.HTTPError as error:
        text, status = error.read().decode(), error.code
    try:
        return status, json.loads(text)
    except ValueError:
        return status, text


def environment(**more):
    return dict(os.environ, **more)
