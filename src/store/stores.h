// The stores that the settings name.
#ifndef WALLABY_STORE_STORES_H_
#define WALLABY_STORE_STORES_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "flow/settings.h"
#include "store/control_store.h"

namespace wallaby {

struct Stores {
  std::unique_ptr<ControlStore> control;
  int sealed = 0;  // definitions that this opening sealed, see KeyUse

  // Of the same object, wherever it keeps them: leases and checkpoints belong together.
  ControlStore* checkpoints() const { return control.get(); }
};

// WALLABY_POSTGRES_DSN, else SQLite at WALLABY_DATA_DIR/wallaby.db. Checkpoints are kept there too, unless
// WALLABY_CHECKPOINT_BACKEND names another database.
absl::StatusOr<Stores> OpenStores(const Settings& settings, KeyUse use = KeyUse::kCheck);

// What keeps the checkpoints: "sqlite" or "postgres".
std::string CheckpointBackend(const Settings& settings);

}  // namespace wallaby

#endif  // WALLABY_STORE_STORES_H_
