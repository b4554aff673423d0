#include "pipeline/toast_filler.h"

#include <list>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/sql_text.h"
#include "base/status.h"
#include "change/tuple.h"
#include "change/value.h"
#include "destination/options.h"

namespace wallaby {
namespace {

std::vector<Field> Fields(std::string_view row) {
  std::vector<Field> fields;
  for (TupleCursor c(row.data()); !c.done(); c.Next()) fields.push_back(c.field());
  return fields;
}

void Build(const std::vector<Field>& fields, std::string* out) {
  TupleBuilder builder(out, static_cast<int>(fields.size()));
  for (const Field& field : fields) builder.Add(field);
}

class SourceFiller : public pgoutput::AbsentFiller {
 public:
  explicit SourceFiller(PgConnection* sql) : sql_(sql) {}

  void Remember(const Relation&, std::string_view, bool) override {}

  absl::StatusOr<bool> Fill(const Relation& relation, std::string_view row, std::string* out) override {
    if (!relation.has_key()) return false;
    std::vector<Field> fields = Fields(row);
    std::vector<std::string> columns;
    std::vector<size_t> absent;
    for (size_t i = 0; i < fields.size(); ++i) {
      if (!fields[i].is_absent()) continue;
      absent.push_back(i);
      columns.push_back(SqlIdentifier(relation.columns[i].name));
    }
    std::vector<std::string> conditions;
    std::vector<SqlParam> params;
    for (const int key : relation.key) {
      std::string text;
      RETURN_IF_ERROR(AppendText(fields[key], relation.columns[key].type, &text));
      params.emplace_back(std::move(text));
      conditions.push_back(absl::StrCat(SqlIdentifier(relation.columns[key].name), " = $", params.size()));
    }
    auto rows =
        sql_->Query(absl::StrCat("SELECT ", absl::StrJoin(columns, ", "), " FROM ", SqlIdentifier(relation.schema), ".",
                                 SqlIdentifier(relation.name), " WHERE ", absl::StrJoin(conditions, " AND ")),
                    params);
    if (!rows.ok()) return Annotate(rows.status(), absl::StrCat("toast_fetch=source on ", relation.QualifiedName()));
    if (rows->size() != 1) return false;  // deleted meanwhile: a later change says so
    for (size_t i = 0; i < absent.size(); ++i) {
      const int column = static_cast<int>(i);
      fields[absent[i]] = rows->IsNull(0, column) ? Field{} : Field{FieldKind::kText, rows->Text(0, column)};
    }
    Build(fields, out);
    return true;
  }

 private:
  PgConnection* sql_;
};

// Least recently used rows go first.
class CacheFiller : public pgoutput::AbsentFiller {
 public:
  explicit CacheFiller(size_t bound) : bound_(bound) {}

  void Remember(const Relation& relation, std::string_view row, bool moved) override {
    if (!relation.has_key()) return;
    const std::vector<Field> fields = Fields(row);
    const std::string key = Key(relation, fields);
    auto found = index_.find(key);
    Entry entry{key, {}};
    for (size_t i = 0; i < fields.size(); ++i) {
      const Field& field = fields[i];
      if (field.bytes.size() >= kLarge) {
        entry.values.push_back({static_cast<int>(i), field.kind, std::string(field.bytes)});
      } else if (field.is_absent() && !moved && found != index_.end()) {
        const Value* value = found->second->Find(static_cast<int>(i));
        if (value != nullptr) entry.values.push_back(*value);
      }
    }
    if (found != index_.end()) Remove(found->second);
    if (entry.values.empty()) return;
    bytes_ += entry.Bytes();
    entries_.push_front(std::move(entry));
    index_[entries_.front().key] = entries_.begin();
    while (bytes_ > bound_) Remove(std::prev(entries_.end()));
  }

  absl::StatusOr<bool> Fill(const Relation& relation, std::string_view row, std::string* out) override {
    if (!relation.has_key()) return false;
    std::vector<Field> fields = Fields(row);
    const auto found = index_.find(Key(relation, fields));
    if (found == index_.end()) return false;
    bool some = false;
    for (size_t i = 0; i < fields.size(); ++i) {
      if (!fields[i].is_absent()) continue;
      const Value* value = found->second->Find(static_cast<int>(i));
      if (value == nullptr) continue;
      fields[i] = Field{value->kind, value->bytes};
      some = true;
    }
    if (some) Build(fields, out);
    return some;
  }

 private:
  // Smaller values are hardly ever stored out of line.
  static constexpr size_t kLarge = 256;

  struct Value {
    int column;
    FieldKind kind;
    std::string bytes;
  };
  struct Entry {
    std::string key;
    std::vector<Value> values;

    const Value* Find(int column) const {
      for (const Value& value : values) {
        if (value.column == column) return &value;
      }
      return nullptr;
    }
    size_t Bytes() const {
      size_t bytes = key.size() * 2 + sizeof(Entry);
      for (const Value& value : values) bytes += value.bytes.size() + sizeof(Value);
      return bytes;
    }
  };
  using Entries = std::list<Entry>;

  static std::string Key(const Relation& relation, const std::vector<Field>& fields) {
    std::string key = absl::StrCat(relation.oid, ":", relation.version);
    for (const int i : relation.key) absl::StrAppend(&key, ":", fields[i].bytes.size(), ":", fields[i].bytes);
    return key;
  }

  void Remove(Entries::iterator entry) {
    bytes_ -= entry->Bytes();
    index_.erase(entry->key);
    entries_.erase(entry);
  }

  const size_t bound_;
  size_t bytes_ = 0;
  Entries entries_;
  absl::flat_hash_map<std::string, Entries::iterator> index_;
};

}  // namespace

std::unique_ptr<pgoutput::AbsentFiller> MakeToastFiller(const SourceOptions& options, PgConnection* sql) {
  switch (options.toast_fetch) {
    case ToastFetch::kOff:
    case ToastFetch::kFull:
      return nullptr;
    case ToastFetch::kSource:
      return std::make_unique<SourceFiller>(sql);
    case ToastFetch::kCache:
      return std::make_unique<CacheFiller>(static_cast<size_t>(options.toast_cache_size));
  }
  return nullptr;
}

}  // namespace wallaby
