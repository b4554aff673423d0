// Settings of the three programs: flag over environment over file (docs/settings.md).
#ifndef WALLABY_FLOW_SETTINGS_H_
#define WALLABY_FLOW_SETTINGS_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "flow/access_settings.h"
#include "flow/flow.h"
#include "flow/kubernetes_settings.h"
#include "postgres/source_options.h"

namespace wallaby {

struct Settings {
  std::string postgres_dsn;                       // WALLABY_POSTGRES_DSN; empty: SQLite in data_dir
  std::string data_dir = "./wallaby-data";        // WALLABY_DATA_DIR
  std::string grpc_listen = "127.0.0.1:8080";     // WALLABY_GRPC_LISTEN; ":8080" means all interfaces
  bool grpc_reflection = true;                    // WALLABY_GRPC_REFLECTION
  std::string checkpoint_backend;                 // WALLABY_CHECKPOINT_BACKEND: postgres, sqlite; empty: as the store
  std::string checkpoint_path;                    // WALLABY_CHECKPOINT_PATH
  std::string checkpoint_dsn;                     // WALLABY_CHECKPOINT_DSN
  std::string wire_format;                        // WALLABY_WIRE_FORMAT
  bool wire_enforce = false;                      // WALLABY_WIRE_ENFORCE
  int64_t memory_limit = 256 << 20;               // WALLABY_MEMORY_LIMIT
  std::string metrics_listen;                     // WALLABY_METRICS_LISTEN; empty: off
  std::string admin_listen;                       // WALLABY_ADMIN_LISTEN; empty: off
  std::string trace_path;                         // WALLABY_TRACE_PATH; empty: off
  std::string spool_dir;                          // WALLABY_SPOOL_DIR; empty: no spool
  int64_t spool_limit = 0;                        // WALLABY_SPOOL_LIMIT: bytes of all spools in spool_dir; 0: none
  SpoolPolicy spool_policy = SpoolPolicy::kHold;  // WALLABY_SPOOL_POLICY; a flow's own wins
  std::string spool_key;                          // WALLABY_SPOOL_KEY: 32 bytes; empty: the spool is not encrypted
  // WALLABY_OTEL_METRICS_INTERVAL; 0: as OTEL_METRIC_EXPORT_INTERVAL says.
  absl::Duration otel_metrics_interval;
  DdlPolicy ddl;                  // WALLABY_DDL_GATE, _AUTO_APPROVE, _AUTO_APPLY; a flow's own wins
  AccessSettings access;          // who may reach the server, and how
  KubernetesSettings kubernetes;  // WALLABY_K8S_*
  // WALLABY_SECRET_KEY_LOST: the server takes the key that is set, or none, in place of the store's.
  bool secret_key_lost = false;
  bool dbos_enabled = false;           // WALLABY_DBOS_ENABLED
  std::string dbos_app = "wallaby";    // WALLABY_DBOS_APP
  std::string dbos_queue = "wallaby";  // WALLABY_DBOS_QUEUE
  std::string dbos_schedule;           // WALLABY_DBOS_SCHEDULE: cron with six fields; empty: none
  int64_t dbos_max_retries = 100;      // WALLABY_DBOS_MAX_RETRIES; 0: no limit
  std::string dbos_admin_listen;       // WALLABY_DBOS_ADMIN_PORT, as host:port; empty: off
  std::string config_file;             // -config, handed on to workers
};

// Reads `config_file` (YAML, keys in lower case as `wallaby_data_dir` or `data_dir`; empty: none), then the
// environment. INVALID_ARGUMENT names the setting, its value and what is allowed; unknown keys of the file are refused.
absl::StatusOr<Settings> LoadSettings(const std::string& config_file);

}  // namespace wallaby

#endif  // WALLABY_FLOW_SETTINGS_H_
