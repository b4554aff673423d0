#include "service/slot_convert.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"

namespace wallaby {
namespace {

// Who wants to know the rest can ask the source by himself: the oldest is the one that holds.
constexpr size_t kMostHolders = 5;

void AddHolder(const SlotHolder& holder, v1::SlotStatus* proto) {
  v1::SlotHolder* out = proto->add_holders();
  out->set_pid(holder.pid);
  out->set_gid(holder.gid);
  out->set_role(holder.role);
  out->set_database(holder.database);
  out->set_state(holder.state);
  out->set_age_seconds(holder.age ? absl::ToDoubleSeconds(*holder.age) : -1);
  out->set_transactions(holder.transactions);
  out->set_sentence(holder.Describe());
  out->set_sql(holder.EndSql());
}

// No SQL tells what a disk has free.
std::string DiskText(const SlotOutlook& outlook) {
  const std::string wal = outlook.wal_bytes ? absl::StrCat("pg_wal holds ", *outlook.wal_bytes >> 20, " MiB")
                                            : "the size of pg_wal is shown to members of pg_monitor only";
  return absl::StrCat(outlook.keep_limit_bytes
                          ? "the slot is given up at max_slot_wal_keep_size, in time if the disk has that much free"
                          : "without max_slot_wal_keep_size WAL is kept until the disk is full",
                      "; what the disk has free is not shown by SQL; ", wal);
}

}  // namespace

v1::SlotStatus SlotToProto(const SlotInfo& slot) {
  v1::SlotStatus proto;
  proto.set_name(slot.name);
  proto.set_exists(true);
  proto.set_active(slot.active);
  proto.set_active_pid(slot.active_pid);
  if (slot.confirmed_flush.valid()) proto.set_confirmed_flush_lsn(slot.confirmed_flush.ToString());
  if (slot.restart.valid()) proto.set_restart_lsn(slot.restart.ToString());
  proto.set_retained_bytes(slot.retained_bytes);
  proto.set_wal_status(slot.wal_status);
  proto.set_invalidation_reason(slot.invalidation_reason);
  proto.set_plugin(slot.plugin);
  proto.set_database(slot.database);
  proto.set_failover(slot.failover);
  proto.set_synced(slot.synced);
  proto.set_safe_wal_bytes(slot.safe_wal_bytes ? std::max<int64_t>(*slot.safe_wal_bytes, 0) : -1);
  proto.set_seconds_to_limit(-1);
  proto.set_idle_seconds(slot.inactive_for ? absl::ToDoubleSeconds(*slot.inactive_for) : -1);
  proto.set_catalog_xmin_age(slot.catalog_xmin_age);
  return proto;
}

int64_t HeldBytes(const v1::SlotStatus& slot) {
  const auto restart = Lsn::Parse(slot.restart_lsn());
  const auto confirmed = Lsn::Parse(slot.confirmed_flush_lsn());
  if (!restart.ok() || !confirmed.ok() || *confirmed <= *restart) return 0;
  return static_cast<int64_t>(confirmed->value - restart->value);
}

void AddOutlook(const SlotOutlook& outlook, v1::SlotStatus* proto) {
  proto->set_keep_limit_bytes(outlook.keep_limit_bytes.value_or(-1));
  proto->set_idle_timeout_seconds(absl::ToDoubleSeconds(outlook.idle_timeout));
  proto->set_disk(DiskText(outlook));
  for (size_t i = 0; i < std::min(outlook.holders.size(), kMostHolders); ++i) AddHolder(outlook.holders[i], proto);
  if (!outlook.sender) return;
  v1::WalSender* sender = proto->mutable_sender();
  sender->set_pid(outlook.sender->pid);
  sender->set_state(outlook.sender->state);
  sender->set_sent_lsn(outlook.sender->sent.ToString());
  sender->set_received_lsn(outlook.sender->received.ToString());
  sender->set_unsent_bytes(outlook.sender->unsent_bytes);
  sender->set_unreceived_bytes(outlook.sender->unreceived_bytes);
}

}  // namespace wallaby
