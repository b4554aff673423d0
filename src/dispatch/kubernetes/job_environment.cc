// The environment of Jobs: what workers need of the server's settings.
#include <algorithm>
#include <cstdlib>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "dispatch/kubernetes/kubernetes_dispatch.h"
#include "flow/flow.h"

namespace wallaby {
namespace {

constexpr std::string_view kUseSecret =
    "put it into a Secret, and name that in WALLABY_K8S_JOB_ENV_FROM (secret:NAME), so that Jobs read it from there";

// Variables that are handed on as they are. None of them holds a secret.
constexpr std::string_view kHandedOn[] = {
    "WALLABY_LOG_LEVEL",     "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_RESOURCE_ATTRIBUTES",
    "OTEL_METRICS_EXPORTER", "OTEL_TRACES_EXPORTER",        "OTEL_LOGS_EXPORTER"};

std::string YesNo(bool value) {
  return value ? "true" : "false";
}

absl::Status CompleteStore(const Settings& settings, bool from_elsewhere, std::map<std::string, std::string>* env) {
  if (env->contains("WALLABY_POSTGRES_DSN") || env->contains("WALLABY_DATA_DIR")) return absl::OkStatus();
  if (settings.postgres_dsn.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("WALLABY_K8S_ENABLED: the control store is SQLite in ", settings.data_dir,
                     ", which the pods of Jobs cannot reach; set WALLABY_POSTGRES_DSN to a database that server and "
                     "pods share. (Where "
                     "pods do share the folder, name it in WALLABY_K8S_JOB_ENV as WALLABY_DATA_DIR.)"));
  }
  if (from_elsewhere) return absl::OkStatus();
  if (RedactDsn(settings.postgres_dsn) != settings.postgres_dsn) {
    return absl::InvalidArgumentError(
        absl::StrCat("WALLABY_POSTGRES_DSN: holds a password, which would stand readable in every Job; ", kUseSecret));
  }
  (*env)["WALLABY_POSTGRES_DSN"] = settings.postgres_dsn;
  return absl::OkStatus();
}

// A spool in a pod's own file system would go with the pod, and with it what the source has forgotten.
absl::Status CompleteSpool(const Settings& settings, bool from_elsewhere, KubernetesSettings* kubernetes) {
  std::map<std::string, std::string>& env = kubernetes->job_env;
  if (settings.spool_dir.empty()) return absl::OkStatus();
  const std::string& dir = env.try_emplace("WALLABY_SPOOL_DIR", settings.spool_dir).first->second;
  const bool kept =
      std::any_of(kubernetes->job_volumes.begin(), kubernetes->job_volumes.end(), [&](const auto& volume) {
        return !volume.read_only && absl::StartsWith(absl::StrCat(dir, "/"), absl::StrCat(volume.path, "/"));
      });
  if (!kept) {
    return absl::InvalidArgumentError(absl::StrCat(
        "WALLABY_SPOOL_DIR: ", dir,
        " would be lost with the pod of each Job; name a PersistentVolumeClaim that is mounted there, like "
        "WALLABY_K8S_JOB_VOLUMES=spool:",
        dir));
  }
  if (!settings.spool_key.empty() && !from_elsewhere && !env.contains("WALLABY_SPOOL_KEY")) {
    return absl::InvalidArgumentError(absl::StrCat("WALLABY_SPOOL_KEY: workers need it, too; ", kUseSecret));
  }
  if (settings.spool_limit > 0) env.try_emplace("WALLABY_SPOOL_LIMIT", absl::StrCat(settings.spool_limit));
  if (settings.spool_policy == SpoolPolicy::kFail) env.try_emplace("WALLABY_SPOOL_POLICY", "fail");
  return absl::OkStatus();
}

}  // namespace

absl::Status CompleteJobEnvironment(const Settings& settings, KubernetesSettings* kubernetes) {
  std::map<std::string, std::string>& env = kubernetes->job_env;
  const bool from_elsewhere = !kubernetes->job_env_from.empty();
  const absl::Status store = CompleteStore(settings, from_elsewhere, &env);
  if (!store.ok()) return store;
  const absl::Status spool = CompleteSpool(settings, from_elsewhere, kubernetes);
  if (!spool.ok()) return spool;
  const char* key = std::getenv("WALLABY_SECRET_KEY");
  if (key != nullptr && *key != '\0' && !from_elsewhere && !env.contains("WALLABY_SECRET_KEY")) {
    return absl::InvalidArgumentError(absl::StrCat("WALLABY_SECRET_KEY: workers need it, too; ", kUseSecret));
  }
  // What job_env says, counts.
  const auto add = [&env](std::string_view name, const std::string& value) {
    if (!value.empty()) env.try_emplace(std::string(name), value);
  };
  add("WALLABY_MEMORY_LIMIT", absl::StrCat(settings.memory_limit));
  add("WALLABY_CHECKPOINT_BACKEND", settings.checkpoint_backend == "postgres" ? "postgres" : "");
  if (settings.ddl.gate) add("WALLABY_DDL_GATE", YesNo(*settings.ddl.gate));
  if (settings.ddl.auto_approve) add("WALLABY_DDL_AUTO_APPROVE", YesNo(*settings.ddl.auto_approve));
  if (settings.ddl.auto_apply) add("WALLABY_DDL_AUTO_APPLY", YesNo(*settings.ddl.auto_apply));
  if (settings.otel_metrics_interval > absl::ZeroDuration()) {
    add("WALLABY_OTEL_METRICS_INTERVAL", absl::StrCat(absl::ToInt64Milliseconds(settings.otel_metrics_interval), "ms"));
  }
  for (const std::string_view name : kHandedOn) {
    const char* value = std::getenv(std::string(name).c_str());
    if (value != nullptr) add(name, value);
  }
  return absl::OkStatus();
}

}  // namespace wallaby
