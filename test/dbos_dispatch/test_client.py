"""The official Python client lists, gets, steps, cancels, resumes, forks and rewinds our workflows, and what it or SQL
enqueues runs."""

import subprocess
import sys
import time

from dbos import DBOSClient  # noqa: F401: the package must be there
from dbos._serialization import DBOSPortableJSON

from .stack import DbosTest, portable, sql, wait_until

PROBE = {"flow_id": "shop", "max_empty_reads": 1}


class ClientTest(DbosTest):
    def test_what_is_enqueued_runs(self):
        wallaby, client = self.server(), None
        self.flow(wallaby, start=False)
        client = self.client()

        # By the client: an object, positional and named arguments. The result, the steps, the list by attributes.
        handle = client.enqueue(portable("w-object"), PROBE)
        self.assertEqual(handle.get_result(), "ok")
        self.assertEqual(client.enqueue(portable("w-args"), "shop", max_empty_reads=1).get_result(), "ok")
        steps = client.list_workflow_steps("w-object")
        self.assertEqual([(s["function_id"], s["function_name"]) for s in steps], [(1, "check_generation"), (2, "run")])
        self.assertIn("checkpoint", steps[1]["output"])
        listed = client.list_workflows(attributes={"flow_id": "shop"}, status="SUCCESS", name="wallaby.run_flow")
        self.assertEqual({w.workflow_id for w in listed}, {"w-object", "w-args"})
        self.assertEqual([(w.output, w.executor_id, w.app_version) for w in listed], [("ok", "local", "wallaby-1")] * 2)
        self.assertEqual(listed[0].input["args"], [PROBE] if isinstance(listed[0].input["args"], list) else (PROBE,))

        # A flow that is not running is no concern of a run without a limit.
        self.assertEqual(client.enqueue(portable("w-fenced"), {"flow_id": "shop"}).get_result(), "fenced")

        # By SQL; the deduplication id is the queue's.
        (made,), = sql(self.system, "SELECT dbos.enqueue_workflow('wallaby.run_flow', 'wallaby', positional_args => "
                       "ARRAY['{\"flow_id\":\"shop\",\"max_empty_reads\":1}'::json], application_name => 'wallaby')")
        self.assertEqual(client.retrieve_workflow(made).get_result(), "ok")

        # Errors are raised, with a text that says what happened.
        for workflow_id, argument, says in (("w-nobody", {"flow_id": "nobody"}, "nobody"),
                                            ("w-nothing", {}, "names no flow")):
            with self.assertRaisesRegex(Exception, says) as caught:
                client.enqueue(portable(workflow_id), argument).get_result()
            self.assertEqual(type(caught.exception).__name__, "PortableWorkflowError")
        self.flow(wallaby, "broken", start=False, dsn=self.source + "_gone")
        with self.assertRaisesRegex(Exception, "worker of flow broken ended with exit status 1: .*does not exist"):
            client.enqueue(portable("w-broken"), {"flow_id": "broken", "max_empty_reads": 1}).get_result()
        with self.assertRaisesRegex(Exception, "not registered"):
            client.enqueue({**portable("w-unknown"), "workflow_name": "other"}, 1).get_result()

        # An input that only Python can read ends in a readable error, and is not tried for ever.
        pickled = portable("w-pickled")
        del pickled["serialization_type"]
        client.enqueue(pickled, "shop")
        wait_until(lambda: self.row("w-pickled") == "ERROR", 30, "the end of the pickled one")
        error, attempts = self.row("w-pickled", "error, recovery_attempts")
        self.assertIn("py_pickle; enqueue it with portable JSON", error)
        self.assertEqual(attempts, "1")

        # ERROR cannot be resumed; it can be rewound.
        client.resume_workflow("w-nobody")
        self.assertEqual(self.row("w-nobody"), "ERROR")
        self.flow(wallaby, "nobody", start=False)
        client.rewind_workflow("w-nobody", start_step=1)
        wait_until(lambda: self.row("w-nobody") == "SUCCESS", 30, "the rewound workflow")
        self.assertEqual(self.row("w-nobody", "output"), '"fenced"')

    def test_cancel_resume_and_fork_a_running_flow(self):
        wallaby = self.server()
        client = self.client()
        self.flow(wallaby)
        self.await_streaming(wallaby)
        run = self.active()
        self.assertRegex(run, r"^wallaby-flow:shop:g-\d+$")
        self.assertEqual([w.workflow_id for w in client.list_queued_workflows()], [run])

        # One run of a flow at a time.
        with self.assertRaises(Exception) as caught:
            client.enqueue(portable("w-second", deduplication_id="wallaby-flow:shop"), {"flow_id": "shop"})
        self.assertIn("Dedup", type(caught.exception).__name__)

        # Cancelled: the worker stops and nothing is written by the run after that.
        client.cancel_workflow(run)
        wait_until(lambda: not wallaby.worker_pids("shop"), 30, "the worker's end")
        written = self.row(run, "status, updated_at, output, error, (SELECT count(*) FROM dbos.operation_outputs o "
                                "WHERE o.workflow_uuid = workflow_status.workflow_uuid)")
        self.assertEqual((written[0], written[2:]), ("CANCELLED", (None, None, "1")))
        time.sleep(1)
        self.assertEqual(self.row(run, "updated_at"), written[1])
        # Whoever cancelled it meant it: no next run by itself, and the flow tells why.
        wait_until(lambda: "was cancelled" in wallaby.get("shop").get("error", ""), 30, "the flow's word")
        self.assertEqual(self.runs("count(*)"), [("1",)])

        # Resumed: the same run streams again, as the same generation.
        client.resume_workflow(run)
        wait_until(lambda: wallaby.worker_pids("shop"), 30, "the worker of the resumed run")
        self.assertEqual(self.row(run, "status, recovery_attempts"), ("PENDING", "1"))

        # Stopped by the CLI: the run is cancelled, and the next start makes the next one.
        wallaby.stop_flow("shop")
        self.assertEqual(self.row(run), "CANCELLED")
        wallaby.admin("flow", "start", "-flow-id", "shop")
        second = wait_until(self.active, 30, "the next run")
        self.assertNotEqual(second, run)
        wait_until(lambda: self.row(second) == "PENDING", 30, "its start")

        # A fork of the old run is of an old generation.
        fork = client.fork_workflow(run, 1)
        self.assertEqual(fork.get_result(), "fenced")
        self.assertEqual(fork.get_status().forked_from, run)
        wallaby.stop_flow("shop")

    def test_command_line(self):
        wallaby = self.server()
        self.flow(wallaby, start=False)

        def dbos(*arguments):
            program = sys.executable.rsplit("/", 1)[0] + "/dbos"
            result = subprocess.run([program, "workflow", *arguments, "-s", self.system], capture_output=True, text=True,
                                    timeout=60)
            self.assertEqual(result.returncode, 0, result.stderr + result.stdout)
            return result.stdout

        client = self.client()
        client.enqueue(portable("w-cli"), PROBE).get_result()
        self.assertIn("w-cli", dbos("list"))
        self.assertIn("SUCCESS", dbos("get", "w-cli"))
        self.assertIn("check_generation", dbos("steps", "w-cli"))
        dbos("fork", "w-cli", "--step", "1")
        wait_until(lambda: len(self.runs(where="forked_from = 'w-cli' AND status = 'SUCCESS'")) == 1, 30, "the fork's end")

    def test_schedule_with_two_servers(self):
        schedule = {"WALLABY_DBOS_SCHEDULE": "*/2 * * * * *"}
        first, second = self.server("exec-a", **schedule), self.server("exec-b", **schedule)
        self.flow(first)
        ticks = "schedule_name = 'wallaby-flow-dispatch'"
        wait_until(lambda: len(self.runs(where=f"{ticks} AND status = 'SUCCESS'")) >= 3, 30, "three ticks")
        ids = [row[0] for row in self.runs("workflow_uuid", ticks)]
        self.assertEqual(len(set(ids)), len(ids))
        self.assertRegex(ids[0], r"^sched-wallaby-flow-dispatch-\d{4}-\d\d-\d\dT\d\d:\d\d:\d[02468]Z$")
        # Each tick brings one run, which delivers what waits and ends.
        wait_until(lambda: len(self.runs(where="name = 'wallaby.run_flow' AND status = 'SUCCESS' AND output = '\"ok\"'"))
                   >= 2, 30, "two runs")
        # Paused by the client: no tick comes; resumed: they come again.
        client = self.client(serializer=DBOSPortableJSON)
        client.pause_schedule("wallaby-flow-dispatch")
        time.sleep(2.2)
        count = len(self.runs(where=ticks))
        time.sleep(4.2)
        self.assertEqual(len(self.runs(where=ticks)), count)
        handle = client.trigger_schedule("wallaby-flow-dispatch")
        wait_until(lambda: self.row(handle.workflow_id) == "SUCCESS", 30, "the triggered tick")
        self.assertIn("enqueued", self.row(handle.workflow_id, "output"))
        client.resume_schedule("wallaby-flow-dispatch")
        wait_until(lambda: len(self.runs(where=ticks)) > count + 1, 30, "ticks after the resume")
        first.stop_flow("shop")
        # Without the setting the schedule goes.
        for server in (first, second):
            server.process.terminate()
            server.process.wait(20)
        self.server()
        self.assertEqual(sql(self.system, "SELECT count(*) FROM dbos.workflow_schedules"), [["0"]])
