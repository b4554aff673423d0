#include "store/store_key.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "store/lock_numbers.h"

namespace wallaby {
namespace {

// No flow's id: those have no blank.
constexpr std::string_view kContext = "key mark";
constexpr std::string_view kText = "wallaby";

constexpr std::string_view kWayOut =
    "When the key is lost, start the server once with WALLABY_SECRET_KEY_LOST=true (docs/security.md, A lost key)";

// "" where there is none.
absl::StatusOr<std::string> ReadMark(SqlSession& session) {
  ASSIGN_OR_RETURN(const SqlRows rows, session.Query("SELECT sealed FROM @key_mark WHERE id = 1"));
  return rows.empty() ? std::string() : rows.Text(0, 0);
}

absl::Status WriteMark(SqlSession& session, const SecretBox& box) {
  ASSIGN_OR_RETURN(const std::string sealed, box.Seal(kText, kContext));
  return session
      .Query(
          "INSERT INTO @key_mark (id, sealed) VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET sealed = excluded.sealed",
          {sealed})
      .status();
}

absl::Status OtherKey(const SqlDatabase& database) {
  return absl::FailedPreconditionError(absl::StrCat("control store ", database.description(),
                                                    ": WALLABY_SECRET_KEY is not the key that its flows are ",
                                                    "sealed with; set that key. ", kWayOut));
}

// Those of an earlier version have no mark: its key is known by what it sealed.
absl::Status CheckSealed(const SqlDatabase& database, const SqlRows& flows, const SecretBox& box) {
  bool any = false;
  for (int row = 0; row < flows.size(); ++row) {
    if (!SecretBox::IsSealed(flows.Text(row, 1))) continue;
    if (box.Open(flows.Text(row, 1), flows.Text(row, 0)).ok()) return absl::OkStatus();
    any = true;
  }
  return any ? OtherKey(database) : absl::OkStatus();
}

absl::Status Adopt(const SqlDatabase& database, SqlSession& session, const SecretBox& box, KeyUse use, int* sealed) {
  RETURN_IF_ERROR(session.Lock(kDefinitionLock));
  ASSIGN_OR_RETURN(const std::string mark, ReadMark(session));
  if (!mark.empty()) {
    if (box.Open(mark, kContext).ok()) return absl::OkStatus();
    return use == KeyUse::kReplace ? WriteMark(session, box) : OtherKey(database);
  }
  ASSIGN_OR_RETURN(const SqlRows flows, session.Query("SELECT id, definition FROM @flows"));
  if (use != KeyUse::kReplace) RETURN_IF_ERROR(CheckSealed(database, flows, box));
  for (int row = 0; row < flows.size(); ++row) {
    if (SecretBox::IsSealed(flows.Text(row, 1))) continue;
    const std::string& id = flows.Text(row, 0);
    ASSIGN_OR_RETURN(const std::string text, box.Seal(flows.Text(row, 1), id));
    RETURN_IF_ERROR(session.Query("UPDATE @flows SET definition = $2 WHERE id = $1", {id, text}).status());
    ++*sealed;
  }
  return WriteMark(session, box);
}

// Of every program: the mark and the key that is set fit each other.
absl::Status Check(SqlDatabase& database, const std::optional<SecretBox>& box) {
  std::string mark;
  RETURN_IF_ERROR(database.Transact(SqlAccess::kRead, [&](SqlSession& session) -> absl::Status {
    ASSIGN_OR_RETURN(mark, ReadMark(session));
    return absl::OkStatus();
  }));
  if (mark.empty() || (box && box->Open(mark, kContext).ok())) return absl::OkStatus();
  if (box) return OtherKey(database);
  return absl::FailedPreconditionError(
      absl::StrCat("control store ", database.description(), ": its flows are sealed, and no key is set; set ",
                   "WALLABY_SECRET_KEY to the key that they were sealed with. ", kWayOut));
}

}  // namespace

absl::Status UseStoreKey(SqlDatabase& database, const std::optional<SecretBox>& box, KeyUse use, int* sealed) {
  if (use == KeyUse::kCheck || (use == KeyUse::kAdopt && !box)) return Check(database, box);
  int count = 0;
  RETURN_IF_ERROR(database.Transact(SqlAccess::kWrite, [&](SqlSession& session) -> absl::Status {
    count = 0;
    if (box) return Adopt(database, session, *box, use, &count);
    return session.Query("DELETE FROM @key_mark").status();
  }));
  if (sealed != nullptr) *sealed = count;
  return absl::OkStatus();
}

}  // namespace wallaby
