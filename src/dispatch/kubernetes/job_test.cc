#include "dispatch/kubernetes/job.h"

#include <algorithm>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "dispatch/kubernetes/kubernetes_dispatch.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace wallaby {
namespace {

using testing::HasSubstr;

const std::string kIds[] = {"shop",
                            "Shop",
                            "shop-",
                            "-",
                            "",
                            "a.b_c",
                            "Größe/äöü",
                            std::string(300, 'x'),
                            std::string(299, 'x') + "y",
                            "UPPER CASE with spaces"};

bool IsName(const std::string& name) {
  return !name.empty() && name.size() <= 63 && name.front() != '-' && name.back() != '-' &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '-'; });
}

TEST(JobTest, NamesAreValidStableAndDifferent) {
  std::set<std::string> names;
  std::set<std::string> labels;
  for (const std::string& id : kIds) {
    for (const int64_t generation : {int64_t{1}, int64_t{1} << 62}) {
      for (const int64_t attempt : {1, 2, 1000000}) {
        for (const std::string prefix : {"wallaby", "a", "twenty-characters-xx"}) {
          const std::string name = JobName(prefix, {id, generation, attempt});
          EXPECT_TRUE(IsName(name)) << name;
          EXPECT_EQ(name, JobName(prefix, {id, generation, attempt}));
          EXPECT_TRUE(names.insert(name).second) << name;
        }
      }
    }
    const std::string label = FlowLabel(id);
    EXPECT_LE(label.size(), 63u);
    EXPECT_TRUE(labels.insert(label).second) << label;
  }
  EXPECT_EQ(FlowLabel("shop"), "shop");
  EXPECT_THAT(JobName("wallaby", {"Shop: EU", 7, 2}), testing::MatchesRegex("wallaby-shop-eu-[0-9a-z]{10}-7-2"));
}

TEST(JobTest, TheObjectSaysWhichRunItIs) {
  KubernetesSettings settings;
  settings.job_image = "wallaby:1";
  settings.job_labels = {{"team", "data"}};
  settings.job_env = {{"A", "1"}};
  settings.job_env_from = {{true, "store"}, {false, "rest"}};
  settings.job_args = {"-config", "/x"};
  settings.job_max_empty_reads = 5;
  Json job = JobObject(settings, {"Shop: EU", 7, 2}, {.max_empty_reads = 5, .probe = false});
  job["metadata"]["uid"] = "u";
  const auto view = ParseJob(job);
  ASSERT_TRUE(view.has_value());
  EXPECT_EQ(view->identity.flow_id, "Shop: EU");
  EXPECT_EQ(view->identity.generation, 7);
  EXPECT_EQ(view->identity.attempt, 2);
  EXPECT_TRUE(view->unfinished());
  EXPECT_EQ(job["metadata"]["labels"]["app"], "wallaby");
  EXPECT_EQ(job["metadata"]["labels"]["team"], "data");
  EXPECT_EQ(job["spec"]["template"]["metadata"]["labels"], job["metadata"]["labels"]);
  const Json& container = job["spec"]["template"]["spec"]["containers"][0];
  EXPECT_EQ(container["command"], Json({"wallaby-worker"}));
  EXPECT_EQ(container["args"], Json({"-config", "/x", "-flow-id", "Shop: EU", "-max-empty-reads", "5"}));
  EXPECT_EQ(container["env"][0], Json({{"name", "A"}, {"value", "1"}}));
  EXPECT_EQ(container["envFrom"][0]["secretRef"]["name"], "store");
  EXPECT_EQ(container["envFrom"][1]["configMapRef"]["name"], "rest");
  EXPECT_EQ(job["spec"]["backoffLimit"], 3);
  EXPECT_EQ(job["spec"]["ttlSecondsAfterFinished"], 3600);
}

TEST(JobTest, ARunThatFillsTheSpoolHasItsVolume) {
  KubernetesSettings settings;
  settings.job_volumes = {{"spool", "/spool", false}, {"lake", "/lake", true}};
  Json job = JobObject(settings, {"shop", 1, 1}, {.spool = true});
  job["metadata"]["uid"] = "u";
  EXPECT_TRUE(ParseJob(job)->spool);
  const Json& pod = job["spec"]["template"]["spec"];
  EXPECT_EQ(pod["containers"][0]["args"], Json({"-flow-id", "shop", "-mode", "spool"}));
  EXPECT_EQ(pod["containers"][0]["volumeMounts"],
            Json::array({{{"name", "spool"}, {"mountPath", "/spool"}, {"readOnly", false}},
                         {{"name", "lake"}, {"mountPath", "/lake"}, {"readOnly", true}}}));
  EXPECT_EQ(pod["volumes"][0]["persistentVolumeClaim"]["claimName"], "spool");
  EXPECT_EQ(pod["securityContext"]["fsGroup"], 10001);
}

TEST(JobTest, ASpoolNeedsAVolumeThatOutlivesThePod) {
  Settings settings;
  settings.postgres_dsn = "postgres://wallaby@db/control";
  settings.spool_dir = "/var/lib/wallaby/spool";
  settings.spool_limit = 1 << 30;
  KubernetesSettings kubernetes;
  const absl::Status refused = CompleteJobEnvironment(settings, &kubernetes);
  EXPECT_TRUE(absl::IsInvalidArgument(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()), HasSubstr("WALLABY_K8S_JOB_VOLUMES=spool:/var/lib/wallaby/spool"));
  for (const char* path : {"/var/lib/wallaby/spool2", "/var/lib/wallaby/spo"}) {
    kubernetes.job_volumes = {{"spool", path, false}};
    EXPECT_FALSE(CompleteJobEnvironment(settings, &kubernetes).ok()) << path;
  }
  kubernetes.job_volumes = {{"spool", "/var/lib/wallaby", true}};
  EXPECT_FALSE(CompleteJobEnvironment(settings, &kubernetes).ok());
  kubernetes.job_volumes = {{"spool", "/var/lib/wallaby", false}};
  ASSERT_TRUE(CompleteJobEnvironment(settings, &kubernetes).ok());
  EXPECT_EQ(kubernetes.job_env["WALLABY_SPOOL_DIR"], "/var/lib/wallaby/spool");
  EXPECT_EQ(kubernetes.job_env["WALLABY_SPOOL_LIMIT"], "1073741824");
}

TEST(JobTest, WhatPodsSuffer) {
  const auto trouble = [](const Json& status) {
    const Json pod = {{"metadata",
                       {{"name", "p"},
                        {"uid", "u"},
                        {"annotations", {{"wallaby/flow-id", "shop"}}},
                        {"ownerReferences", Json::array({{{"kind", "Job"}, {"uid", "j"}}})}}},
                      {"spec", {{"containers", Json::array({{{"image", "reg/x:1"}}})}}},
                      {"status", status}};
    return ParsePod(pod).value().trouble;
  };
  const auto waiting = [](const char* reason) {
    return Json{
        {"phase", "Pending"},
        {"containerStatuses", Json::array({{{"state", {{"waiting", {{"reason", reason}, {"message", "m"}}}}}}})}};
  };
  EXPECT_THAT(trouble(waiting("ImagePullBackOff")), HasSubstr("image reg/x:1 cannot be pulled (ImagePullBackOff): m"));
  EXPECT_THAT(trouble(waiting("CreateContainerConfigError")), HasSubstr("CreateContainerConfigError"));
  EXPECT_EQ(trouble(waiting("ContainerCreating")), "");
  EXPECT_THAT(trouble({{"phase", "Failed"}, {"reason", "Evicted"}, {"message", "low on memory"}}),
              HasSubstr("Evicted: low on memory"));
  EXPECT_THAT(trouble({{"phase", "Pending"},
                       {"conditions", Json::array({{{"type", "PodScheduled"},
                                                    {"status", "False"},
                                                    {"reason", "Unschedulable"},
                                                    {"message", "0/3 nodes"}}})}}),
              HasSubstr("not scheduled: Unschedulable: 0/3 nodes"));
  EXPECT_EQ(trouble({{"phase", "Running"}}), "");
}

TEST(JobTest, ForeignJsonIsNoJobAndNoException) {
  for (const Json& json : {Json(), Json(1), Json::array(), Json{{"metadata", 1}}, Json{{"metadata", {{"name", 1}}}},
                           Json{{"metadata", {{"annotations", Json::array()}}}, {"status", "x"}}}) {
    EXPECT_FALSE(ParseJob(json).has_value());
    EXPECT_FALSE(ParsePod(json).has_value());
  }
}

}  // namespace
}  // namespace wallaby
