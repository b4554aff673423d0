"""Workers that the chart runs itself."""

import re
import unittest

from chart import INSECURE, WORKERS, environment, of_kind, one, pod_templates, render


class WorkersTest(unittest.TestCase):
    def workers(self, *entries, **values):
        return render({"existingSecret": "x", **INSECURE, "dispatch": {"kind": "none"}, "workers": list(entries), **values})

    def refused(self, entry, *words, **values):
        with self.assertRaises(ValueError) as raised:
            self.workers(entry, **values)
        for word in words:
            self.assertIn(word, str(raised.exception))

    @staticmethod
    def container(document):
        ((_, template),) = pod_templates([document])
        return template["spec"]["containers"][0]

    def test_deployment_follows_its_flow(self):
        documents = render(WORKERS)
        worker = next(d for d in of_kind(documents, "Deployment")
                      if d["metadata"].get("annotations", {}).get("wallaby/flow-id") == "orders")
        container = self.container(worker)
        self.assertEqual(container["command"], ["wallaby-follow"])
        self.assertEqual(container["args"], ["-flow-id", "orders"])
        self.assertEqual(environment(documents, container)["WALLABY_ENDPOINT"], "shop-wallaby:8080")
        self.assertEqual((worker["spec"]["replicas"], worker["spec"]["strategy"]), (1, {"type": "Recreate"}))
        # The entry's limit, the default's request.
        self.assertEqual(container["resources"]["limits"]["memory"], "2Gi")
        self.assertEqual(container["resources"]["requests"]["memory"], "384Mi")

    def test_job_runs_a_backfill(self):
        job = one(render(WORKERS), "Job")
        self.assertEqual(self.container(job)["command"], ["wallaby-worker"])
        self.assertEqual(self.container(job)["args"], [
            "-flow-id", "orders", "-mode", "backfill", "-tables", "public.orders,public.lines", "-partition-column", "id",
            "-partition-count", "8", "-snapshot-workers", "4"])
        self.assertEqual((job["spec"]["backoffLimit"], job["spec"]["activeDeadlineSeconds"]), (0, 3600))
        self.assertEqual(job["spec"]["template"]["spec"]["restartPolicy"], "Never")

    def test_a_job_runs_again_only_when_it_changes(self):
        entry = {"flowId": "orders", "kind": "Job", "mode": "backfill"}
        name = one(self.workers(entry), "Job")["metadata"]["name"]
        self.assertEqual(one(self.workers(entry, settings={"ddl_gate": True}), "Job")["metadata"]["name"], name)
        # A Job's template cannot be changed: anything of it that differs needs another name.
        self.assertNotEqual(one(self.workers({**entry, "tables": ["a"]}), "Job")["metadata"]["name"], name)
        self.assertNotEqual(one(self.workers(entry, image={"tag": "9"}), "Job")["metadata"]["name"], name)

    def test_cron_job(self):
        cron = one(render(WORKERS), "CronJob")
        self.assertEqual((cron["spec"]["schedule"], cron["spec"]["timeZone"]), ("*/15 * * * *", "Europe/Vienna"))
        self.assertEqual((cron["spec"]["suspend"], cron["spec"]["concurrencyPolicy"]), (True, "Forbid"))
        self.assertEqual((cron["spec"]["successfulJobsHistoryLimit"], cron["spec"]["failedJobsHistoryLimit"]), (3, 0))
        self.assertEqual(self.container(cron)["args"], [
            "-flow-id", "Rechnungen/Österreich, all of them since 1999", "-max-empty-reads", "3"])
        # Without it a worker never ends.
        cron = one(self.workers({"flowId": "a", "kind": "CronJob", "schedule": "@daily"}), "CronJob")
        self.assertEqual(self.container(cron)["args"], ["-flow-id", "a", "-max-empty-reads", "1"])

    def test_names(self):
        ids = ["orders", "Orders", "orders_", "-", "ä" * 80, "a" * 63, "a" * 64, "0-x.y/z:w"]
        for release in ("fullname", "x" * 52):
            documents = self.workers(*({"flowId": i, "kind": "CronJob", "schedule": "@daily"} for i in ids),
                                     fullnameOverride=release)
            names = [d["metadata"]["name"] for d in of_kind(documents, "CronJob")]
            self.assertEqual(len(set(names)), len(ids))
            for name in names:
                self.assertLessEqual(len(name), 52)
                self.assertRegex(name, r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
            job = one(self.workers({"flowId": "a" * 99, "kind": "Job"}, fullnameOverride=release), "Job")
            self.assertLessEqual(len(job["metadata"]["name"]), 63)
        for _, template in pod_templates(render(WORKERS)):
            for value in template["metadata"]["labels"].values():
                self.assertTrue(re.fullmatch(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?", value), value)

    def test_deployments_do_not_share_pods(self):
        documents = render(WORKERS)
        for deployment in of_kind(documents, "Deployment"):
            selector = deployment["spec"]["selector"]["matchLabels"].items()
            selected = [d["metadata"]["name"] for d, t in pod_templates(documents) if selector <= t["metadata"]["labels"].items()]
            self.assertEqual(selected, [deployment["metadata"]["name"]])

    def test_mistakes_are_refused(self):
        self.refused({"kind": "Job"}, "flowId")
        self.refused({"flowId": "a", "kind": "DaemonSet"}, "kind")
        self.refused({"flowId": "a", "kind": "CronJob"}, "schedule")
        self.refused({"flowId": "a", "kind": "Job", "schedule": "@daily"}, "schedule")
        self.refused({"flowId": "a", "kind": "Job", "tables": ["b"]}, "tables")
        self.refused({"flowId": "a", "kind": "Job", "mode": "backfill", "maxEmptyReads": 1}, "maxEmptyReads")
        self.refused({"flowId": "a", "kind": "Deployment", "mode": "backfill"}, "mode")
        self.refused({"flowId": "a", "kind": "Deployment"}, "dispatch.kind none", dispatch={"kind": "kubernetes"})
        with self.assertRaisesRegex(ValueError, "two entries"):
            self.workers({"flowId": "a", "kind": "Deployment"}, {"flowId": "a", "kind": "Deployment"})


if __name__ == "__main__":
    unittest.main()
