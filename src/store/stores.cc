#include "store/stores.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "store/open_store.h"
#include "store/split_store.h"
#include "store/sql_database.h"

namespace wallaby {
namespace {

// The other database for checkpoints; null when the settings name none, or the control store's own.
absl::StatusOr<std::unique_ptr<SqlDatabase>> OpenCheckpointDatabase(const Settings& settings,
                                                                    const std::string& control_path) {
  if (settings.checkpoint_backend == "postgres") {
    if (settings.checkpoint_dsn.empty() && settings.postgres_dsn.empty()) {
      return absl::InvalidArgumentError("WALLABY_CHECKPOINT_BACKEND is postgres; set WALLABY_CHECKPOINT_DSN too");
    }
    if (settings.checkpoint_dsn.empty() || settings.checkpoint_dsn == settings.postgres_dsn) return nullptr;
    return OpenPostgresDatabase(settings.checkpoint_dsn);
  }
  if (settings.checkpoint_backend == "sqlite") {
    const std::string path = settings.checkpoint_path.empty() ? absl::StrCat(settings.data_dir, "/checkpoints.db")
                                                              : settings.checkpoint_path;
    if (settings.postgres_dsn.empty() && (settings.checkpoint_path.empty() || path == control_path)) return nullptr;
    return OpenSqliteDatabase(path);
  }
  if (settings.checkpoint_backend.empty()) {
    if (settings.checkpoint_dsn.empty() && settings.checkpoint_path.empty()) return nullptr;
    return absl::InvalidArgumentError(
        "WALLABY_CHECKPOINT_DSN or WALLABY_CHECKPOINT_PATH is set; set WALLABY_CHECKPOINT_BACKEND too");
  }
  return absl::InvalidArgumentError(
      absl::StrCat("WALLABY_CHECKPOINT_BACKEND is '", settings.checkpoint_backend, "'; allowed: postgres or sqlite"));
}

}  // namespace

absl::StatusOr<Stores> OpenStores(const Settings& settings, KeyUse use) {
  const std::string path = absl::StrCat(settings.data_dir, "/wallaby.db");
  ASSIGN_OR_RETURN(std::unique_ptr<SqlDatabase> checkpoints, OpenCheckpointDatabase(settings, path));
  Stores stores;
  if (settings.postgres_dsn.empty()) {
    ASSIGN_OR_RETURN(stores.control, OpenSqliteStore(path, use, &stores.sealed));
  } else {
    ASSIGN_OR_RETURN(stores.control, OpenPostgresStore(settings.postgres_dsn, use, &stores.sealed));
  }
  if (checkpoints != nullptr) {
    ASSIGN_OR_RETURN(std::unique_ptr<SqlStore> store, OpenOnlyCheckpoints(std::move(checkpoints)));
    stores.control = std::make_unique<SplitStore>(std::move(stores.control), std::move(store));
  }
  return stores;
}

std::string CheckpointBackend(const Settings& settings) {
  if (!settings.checkpoint_backend.empty()) return settings.checkpoint_backend;
  return settings.postgres_dsn.empty() ? "sqlite" : "postgres";
}

}  // namespace wallaby
