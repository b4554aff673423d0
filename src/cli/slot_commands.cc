// wallaby-admin slot ...: by -flow-id through the server, which knows the source's password, or by -dsn and without
// one.
#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/admin.h"
#include "cli/command_line.h"
#include "cli/render.h"
#include "cli/source_connection.h"
#include "postgres/slot.h"
#include "service/slot_convert.h"

namespace wallaby {
namespace {

struct SlotOptions {
  std::string flow_id;
  std::string dsn;
  std::string slot;
  bool shared = false;
};

// Declares and reads the flags; `one` says whether the command is about one slot. An exit status ends the command.
std::optional<int> ParseSlotFlags(CommandLine& line, SlotOptions* options, bool one) {
  line.FlowId(&options->flow_id, /*required=*/false);
  line.flags().String("dsn", &options->dsn, "DSN",
                      "the source itself, instead of a flow; PGPASSWORD may hold the password");
  if (one) line.flags().String("slot", &options->slot, "NAME", "the slot, with -dsn");
  if (const auto status = line.Parse()) return status;
  Flags& flags = line.flags();
  const std::string_view direct = one ? "-dsn DSN -slot NAME" : "-dsn DSN";
  if (options->flow_id.empty() && options->dsn.empty()) {
    return flags.UsageError(absl::StrCat("which source? Give -flow-id ID, or ", direct));
  }
  if (!options->flow_id.empty() && !options->dsn.empty())
    return flags.UsageError("-flow-id and -dsn exclude each other");
  if (one && options->dsn.empty() != options->slot.empty()) {
    return flags.UsageError("-dsn and -slot go together; with -flow-id the slot is the flow's");
  }
  return std::nullopt;
}

// ---- what people read ----

std::string WalText(const v1::SlotStatus& slot) {
  return slot.invalidation_reason().empty() ? slot.wal_status()
                                            : absl::StrCat(slot.wal_status(), " (", slot.invalidation_reason(), ")");
}

std::string PidText(const v1::SlotStatus& slot) {
  return slot.active_pid() > 0 ? absl::StrCat(slot.active_pid()) : "";
}

std::string ListText(const v1::ListSlotsResponse& list) {
  if (list.slots().empty()) return "The source has no replication slots.\n";
  Table out({"SLOT", "DATABASE", "PLUGIN", "ACTIVE", ">PID", "CONFIRMED", ">RETAINED WAL", "WAL STATUS"});
  for (const v1::SlotStatus& slot : list.slots()) {
    out.Add({slot.name(), slot.database(), slot.plugin(), slot.active() ? "yes" : "no", PidText(slot),
             slot.confirmed_flush_lsn(), SizeText(slot.retained_bytes()), WalText(slot)});
  }
  return out.Text();
}

std::string OneText(const v1::SlotStatus& slot) {
  Fields fields;
  fields.Add("slot", slot.name());
  fields.Add("database", slot.database());
  fields.Add("plugin", slot.plugin());
  fields.Add("active", slot.active() ? absl::StrCat("yes", slot.active_pid() > 0 ? " (pid " : "", PidText(slot),
                                                    slot.active_pid() > 0 ? ")" : "")
                                     : "no");
  fields.Add("confirmed", slot.confirmed_flush_lsn());
  fields.Add("restart", slot.restart_lsn());
  fields.Add("retained WAL", SizeText(slot.retained_bytes()));
  fields.Add("WAL status", WalText(slot));
  return fields.Text();
}

// ---- commands ----

absl::StatusOr<v1::ListSlotsResponse> AskForSlots(CommandLine& line, const SlotOptions& options) {
  if (options.dsn.empty()) {
    ASSIGN_OR_RETURN(Client* const client, line.Connect());
    return CallOnFlow(*client, v1::ListSlotsRequest(), options.flow_id);
  }
  ASSIGN_OR_RETURN(const auto sql, ConnectToSource(options.dsn));
  ASSIGN_OR_RETURN(const std::vector<SlotInfo> slots, ListSlots(*sql));
  v1::ListSlotsResponse list;
  for (const SlotInfo& slot : slots) *list.add_slots() = SlotToProto(slot);
  return list;
}

absl::StatusOr<v1::SlotStatus> AskForSlot(CommandLine& line, const SlotOptions& options) {
  if (options.dsn.empty()) {
    ASSIGN_OR_RETURN(Client* const client, line.Connect());
    ASSIGN_OR_RETURN(const v1::SlotStatus slot, CallOnFlow(*client, v1::GetSlotRequest(), options.flow_id));
    if (!slot.error().empty()) return absl::UnavailableError(absl::StrCat("slot ", slot.name(), ": ", slot.error()));
    if (slot.exists()) return slot;
    return absl::NotFoundError(absl::StrCat("slot ", slot.name(), " of flow '", options.flow_id,
                                            "' does not exist at the source; a start of the flow makes it, unless "
                                            "create_slot is false"));
  }
  ASSIGN_OR_RETURN(const auto sql, ConnectToSource(options.dsn));
  ASSIGN_OR_RETURN(const std::optional<SlotInfo> slot, GetSlot(*sql, options.slot));
  if (slot) return SlotToProto(*slot);
  return absl::NotFoundError(
      absl::StrCat("slot ", options.slot, " does not exist; `wallaby-admin slot list` shows those that do"));
}

absl::Status DropOne(CommandLine& line, const SlotOptions& options) {
  v1::DropSlotResponse response;
  if (options.dsn.empty()) {
    ASSIGN_OR_RETURN(Client* const client, line.Connect());
    v1::DropSlotRequest request;
    request.set_flow_id(options.flow_id);
    request.set_shared(options.shared);
    ASSIGN_OR_RETURN(response, client->Call(request));
  } else {
    ASSIGN_OR_RETURN(const auto sql, ConnectToSource(options.dsn));
    RETURN_IF_ERROR(DropSlot(*sql, options.slot));
    response.set_dropped(true);
  }
  const std::string which =
      options.dsn.empty() ? absl::StrCat("The slot of flow ", options.flow_id) : absl::StrCat("Slot ", options.slot);
  return line.Print(response, absl::StrCat(which, response.dropped() ? " is dropped.\n" : " is not dropped.\n"));
}

int List(const Invocation& invocation) {
  CommandLine line(invocation);
  SlotOptions options;
  if (const auto status = ParseSlotFlags(line, &options, /*one=*/false)) return *status;
  return line.Finish([&]() -> absl::Status {
    ASSIGN_OR_RETURN(const v1::ListSlotsResponse list, AskForSlots(line, options));
    return line.Print(list, ListText(list));
  }());
}

int Show(const Invocation& invocation) {
  CommandLine line(invocation);
  SlotOptions options;
  if (const auto status = ParseSlotFlags(line, &options, /*one=*/true)) return *status;
  return line.Finish([&]() -> absl::Status {
    ASSIGN_OR_RETURN(const v1::SlotStatus slot, AskForSlot(line, options));
    return line.Print(slot, OneText(slot));
  }());
}

int Drop(const Invocation& invocation) {
  CommandLine line(invocation);
  SlotOptions options;
  line.flags().Bool("shared", &options.shared,
                    "also when other flows need the slot; every table of theirs must be copied again then");
  if (const auto status = ParseSlotFlags(line, &options, /*one=*/true)) return *status;
  return line.Finish(DropOne(line, options));
}

}  // namespace

CommandGroup SlotCommands() {
  return {"slot",
          "Replication slots of a source, which keep WAL there until it is delivered.",
          {{"list", "all slots of the source", List},
           {"show", "one slot", Show},
           {"drop", "drop a slot that is not in use; what it kept cannot be streamed any more", Drop}}};
}

}  // namespace wallaby
