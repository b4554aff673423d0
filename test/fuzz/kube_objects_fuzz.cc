// Jobs and pods as the Kubernetes API tells of them, and the names that are made of a flow's id.
#include <string>

#include "dispatch/kubernetes/job.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace wallaby;
  const std::string text(reinterpret_cast<const char*>(data), size);
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) {
    const std::string name = JobName("wallaby", {text, 3, 1});
    REQUIRE(name.size() <= 63 && FlowLabel(text).size() <= 63, name);
    for (const char c : name) {
      REQUIRE((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-', name);
    }
    REQUIRE(name.back() != '-', name);
    return 0;
  }
  if (const auto job = ParseJob(json)) {
    REQUIRE(!job->name.empty() && !job->identity.flow_id.empty(), "a job without a name");
    KubernetesSettings settings;
    const auto made = ParseJob([&] {
      Json object = JobObject(settings, job->identity, {});
      object["metadata"]["uid"] = "u";
      return object;
    }());
    REQUIRE(made && made->identity.flow_id == job->identity.flow_id &&
                made->identity.generation == job->identity.generation &&
                made->identity.attempt == job->identity.attempt,
            "a job is not known again by what it says");
  }
  if (const auto pod = ParsePod(json)) REQUIRE(!pod->uid.empty(), "a pod without an id");
  return 0;
}
