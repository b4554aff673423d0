#include "destination/files/files_test_kit.h"

#include <stdlib.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "arrow/api.h"
#include "arrow/io/memory.h"
#include "base/check.h"
#include "parquet/arrow/reader.h"

namespace wallaby {
namespace fs = std::filesystem;

TemporaryFolder::TemporaryFolder() {
  std::string name = (fs::temp_directory_path() / "wallaby-parquet-XXXXXX").string();
  WALLABY_CHECK(mkdtemp(name.data()) != nullptr, "a temporary folder can be made");
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

std::string TemporaryFolder::path(const std::string& below) const {
  return below.empty() ? path_.string() : (path_ / below).string();
}

RelationPtr Orders() {
  static const RelationPtr orders = [] {
    auto relation = std::make_shared<Relation>();
    relation->schema = "shop";
    relation->name = "orders";
    relation->columns = {{.name = "id", .type = BuiltinType(20, -1), .key = true},
                         {.name = "placed", .type = BuiltinType(1114, -1)},
                         {.name = "note", .type = BuiltinType(25, -1)}};
    relation->key = {0};
    return relation;
  }();
  return orders;
}

BatchMaker& BatchMaker::Begin(uint64_t commit) {
  batch_.AddTransaction({.commit = Lsn{commit}, .end = Lsn{commit + 1}, .commit_time_micros = 1'000'000});
  seq_ = 0;
  return *this;
}

BatchMaker& BatchMaker::Part(const std::string& part) {
  batch_.set_snapshot_part(part);
  return *this;
}

BatchMaker& BatchMaker::Use(RelationPtr relation) {
  relation_ = std::move(relation);
  return *this;
}

BatchMaker& BatchMaker::Add(ChangeKind kind, const TestRow* row, const TestRow* old, bool old_is_key) {
  Change change{.kind = kind,
                .old_is_key = old_is_key,
                .relation = batch_.AddRelation(relation_),
                .transaction = static_cast<uint32_t>(batch_.transactions().size() - 1),
                .seq = seq_++};
  if (row != nullptr) change.new_row = batch_.AddRow(TestTuple(*row));
  if (old != nullptr) change.old_row = batch_.AddRow(TestTuple(*old));
  batch_.AddChange(change);
  return *this;
}

CommitPoint Point(uint64_t commit, std::vector<std::string> parts) {
  CommitPoint point;
  point.commit = Lsn{commit};
  point.end = Lsn{commit == 0 ? 0 : commit + 1};
  point.finished_parts = std::move(parts);
  return point;
}

std::vector<std::string> DataFiles(const std::string& folder) {
  std::vector<std::string> files;
  if (!fs::exists(folder)) return files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.path().extension() == ".parquet") {
      files.push_back(entry.path().lexically_relative(folder).string());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

void ReadRows(const std::string& parquet, std::vector<SortableRow>* rows) {
  auto input = std::make_shared<arrow::io::BufferReader>(arrow::Buffer::FromString(parquet));
  auto reader = parquet::arrow::OpenFile(input, arrow::default_memory_pool()).ValueOrDie();
  auto table = reader->ReadTable().ValueOrDie();
  auto batch = table->CombineChunksToBatch().ValueOrDie();
  WALLABY_CHECK(batch->ValidateFull().ok(), "a published file is valid");
  const int own = batch->num_columns() - 5;
  const auto text = [&](int column, int64_t row) {
    const auto array = batch->column(column);
    return array->IsNull(row) ? "~" : array->GetScalar(row).ValueOrDie()->ToString();
  };
  for (int64_t r = 0; r < batch->num_rows(); ++r) {
    std::string row = absl::StrCat(text(own, r), "|", text(own + 1, r), "|", text(own + 2, r));
    for (int c = 0; c < own; ++c) absl::StrAppend(&row, "|", text(c, r));
    absl::StrAppend(&row, "|", text(own + 4, r));
    rows->emplace_back(std::stoll(text(own + 1, r)), std::stoll(text(own + 2, r)), row);
  }
}

std::vector<std::string> SortedTexts(std::vector<SortableRow> rows) {
  std::sort(rows.begin(), rows.end());
  std::vector<std::string> texts;
  for (auto& row : rows) texts.push_back(std::get<2>(row));
  return texts;
}

std::vector<std::string> Rows(const std::string& folder) {
  std::vector<SortableRow> rows;
  for (const std::string& name : DataFiles(folder)) {
    std::ifstream file(folder + "/" + name, std::ios::binary);
    ReadRows(std::string(std::istreambuf_iterator<char>(file), {}), &rows);
  }
  return SortedTexts(std::move(rows));
}

absl::Status Deliver(Destination& destination) {
  auto progress = destination.Open();
  if (!progress.ok()) return progress.status();
  const auto done = [&](const char* part) { return progress->snapshot_parts.contains(part); };
  if (!done("shop.orders/2") && !progress->commit.valid()) {
    absl::Status status = destination.ResetSnapshot(*Orders(), "shop.orders/");
    if (!status.ok()) return status;
    BatchMaker one, two;
    one.Part("shop.orders/1").Begin(5).Read({"1", std::nullopt, "a"}).Read({"2", std::nullopt, "b"});
    two.Part("shop.orders/2").Begin(5).Read({"3", std::nullopt, "a"});
    if (status = destination.Write(one.batch()); !status.ok()) return status;
    if (status = destination.Commit(Point(0, {"shop.orders/1"})); !status.ok()) return status;
    if (status = destination.Write(two.batch()); !status.ok()) return status;
    if (status = destination.Commit(Point(0, {"shop.orders/2"})); !status.ok()) return status;
  }
  for (const uint64_t commit : {10, 20}) {
    if (progress->commit >= Lsn{commit}) continue;
    BatchMaker maker;
    maker.Begin(commit).Insert({absl::StrCat(commit), std::nullopt, "a"}).Insert({"7", std::nullopt, "c"});
    if (absl::Status status = destination.Write(maker.batch()); !status.ok()) return status;
    if (absl::Status status = destination.Commit(Point(commit)); !status.ok()) return status;
  }
  return absl::OkStatus();
}

const std::vector<std::string>& Delivered() {
  static const std::vector<std::string> rows = {"r|5|0|1|~|a|~",  "r|5|0|3|~|a|~",   "r|5|1|2|~|b|~", "c|10|0|10|~|a|~",
                                                "c|10|1|7|~|c|~", "c|20|0|20|~|a|~", "c|20|1|7|~|c|~"};
  return rows;
}

}  // namespace wallaby
