#include "destination/kafka/message_writer.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <charconv>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace wallaby {
namespace {

// What a message costs beside key, value and headers: lengths, offset, time.
constexpr size_t kFrame = 64;

void AddHeader(rd_kafka_headers_t* headers, std::string_view name, std::string_view value) {
  rd_kafka_header_add(headers, name.data(), static_cast<ssize_t>(name.size()), value.data(),
                      static_cast<ssize_t>(value.size()));
}

void AddNumber(rd_kafka_headers_t* headers, std::string_view name, uint64_t number) {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof(digits), number);
  AddHeader(headers, name, {digits, static_cast<size_t>(end.ptr - digits)});
}

void AddClaim(rd_kafka_headers_t* headers, const Claim& claim) {
  AddHeader(headers, kClaimHeader, claim.url);
  AddNumber(headers, kClaimBytesHeader, claim.bytes);
  AddHeader(headers, kClaimHashHeader, claim.sha256);
}

}  // namespace

MessageWriter::MessageWriter(const KafkaOptions* options, Codec* codec, Producer* producer, Topics* topics,
                             ClaimCheck* claims, TopicOf topic_of, LeftOut left_out)
    : options_(options),
      codec_(codec),
      producer_(producer),
      topics_(topics),
      claims_(claims),
      topic_of_(std::move(topic_of)),
      left_out_(std::move(left_out)) {}

absl::StatusOr<MessageWriter::Table*> MessageWriter::FindTable(const RelationPtr& relation) {
  return tables_.Find(relation, [this](const RelationPtr& r) { return MakeTable(r); });
}

absl::StatusOr<std::unique_ptr<MessageWriter::Table>> MessageWriter::MakeTable(const RelationPtr& relation) {
  ASSIGN_OR_RETURN(const PayloadSchema schema, codec_->Describe(relation));
  auto table = std::make_unique<Table>();
  table->relation = relation;
  ASSIGN_OR_RETURN(table->topic, topics_->Find(topic_of_(*relation)));
  table->headers = {{"wallaby-format", std::string(WireFormatText(codec_->format()))},
                    {"wallaby-schema", schema.name},
                    {"wallaby-namespace", schema.space},
                    {"wallaby-schema-version", absl::StrCat(schema.version)}};
  if (!schema.registry_subject.empty()) {
    table->headers.emplace_back("wallaby-registry-subject", schema.registry_subject);
    table->headers.emplace_back("wallaby-registry-id", schema.registry_id);
    table->headers.emplace_back("wallaby-registry-version", absl::StrCat(schema.registry_version));
  }
  for (const auto& [name, value] : table->headers) table->headers_bytes += name.size() + value.size() + 4;
  // Those that differ from message to message.
  table->headers_bytes += options_->transaction_header.size() + 96;
  table->batch_key = relation->QualifiedName();
  return table;
}

KafkaHeaders MessageWriter::Headers(const Table& table, const Transaction& transaction, uint32_t seq,
                                    ChangeKind kind) const {
  KafkaHeaders headers(rd_kafka_headers_new(table.headers.size() + 4));
  for (const auto& [name, value] : table.headers) AddHeader(headers.get(), name, value);
  AddNumber(headers.get(), "wallaby-lsn", transaction.commit.value);
  AddNumber(headers.get(), "wallaby-seq", seq);
  // Rows of a snapshot belong to no transaction of the source.
  if (kind != ChangeKind::kRead) AddNumber(headers.get(), options_->transaction_header, transaction.xid);
  return headers;
}

std::string_view MessageWriter::KeyOf(std::string_view key) {
  if (options_->key_mode == KeyMode::kRaw) return key;
  XXH128_canonical_t digest;
  XXH128_canonicalFromHash(&digest, XXH3_128bits(key.data(), key.size()));
  constexpr char kDigits[] = "0123456789abcdef";
  key_.clear();
  for (const unsigned char byte : digest.digest) key_.append({kDigits[byte >> 4], kDigits[byte & 15]});
  return key_;
}

absl::Status MessageWriter::Write(const ChangeBatch& batch) {
  const std::vector<Change>& changes = batch.changes();
  if (options_->message_mode == MessageMode::kBatch) {
    for (uint32_t relation = 0; relation < batch.relations().size(); ++relation) {
      ASSIGN_OR_RETURN(Table * table, FindTable(batch.relations()[relation]));
      RETURN_IF_ERROR(WriteBatches(table, batch, relation));
    }
    return absl::OkStatus();
  }
  // Runs of one table, so that topics of several tables have all in the order of the source.
  for (size_t begin = 0; begin < changes.size();) {
    const uint32_t relation = changes[begin].relation;
    size_t end = begin + 1;
    while (end < changes.size() && changes[end].relation == relation) ++end;
    ASSIGN_OR_RETURN(Table * table, FindTable(batch.relations()[relation]));
    RETURN_IF_ERROR(WriteRecords(table, {batch, relation, begin, end}));
    begin = end;
  }
  return absl::OkStatus();
}

// ---- a message for each record ----

absl::Status MessageWriter::WriteRecords(Table* table, const BatchSlice& slice) {
  return codec_->EncodeRecords(slice, [&](const EncodedRecord& record) -> absl::Status {
    if (record.tombstone && !options_->tombstones) return absl::OkStatus();
    RETURN_IF_ERROR(WriteRecord(*table, record));
    // Debezium's codec makes its tombstones itself.
    const bool follows = options_->tombstones && !record.tombstone && record.kind == ChangeKind::kDelete &&
                         record.has_key && !options_->debezium;
    if (!follows) return absl::OkStatus();
    EncodedRecord tombstone = record;
    tombstone.tombstone = true;
    tombstone.value = {};
    return WriteRecord(*table, tombstone);
  });
}

absl::Status MessageWriter::WriteRecord(const Table& table, const EncodedRecord& record) {
  const size_t bytes = record.key.size() + record.value.size();
  const size_t around = table.headers_bytes + kFrame;
  const auto record_limit = static_cast<size_t>(options_->max_record_bytes.value_or(options_->max_message_bytes));
  std::optional<Claim> claim;
  if (bytes > record_limit || bytes + around > static_cast<size_t>(options_->max_message_bytes)) {
    if (!record.tombstone && record.key.size() <= record_limit) {
      ASSIGN_OR_RETURN(claim, TryClaim(table, record.position, OperationName(record.kind), record.value,
                                       record.key.size() + around));
    }
    if (!claim && options_->max_record_bytes && bytes > record_limit) {
      return TooLarge(table, record.position, bytes, *options_->max_record_bytes, "max_record_bytes");
    }
    if (!claim) {
      return TooLarge(table, record.position, bytes + around, options_->max_message_bytes, "max_message_bytes");
    }
  }
  const auto message = [&](int partition) {
    KafkaMessage message{.topic = table.topic->handle.get(), .partition = partition};
    if (record.has_key) message.key = KeyOf(record.key);
    if (!record.tombstone) message.value = claim ? std::string_view(claim->value) : record.value;
    message.headers = Headers(table, *record.transaction, record.position.seq, record.kind);
    AddHeader(message.headers.get(), "wallaby-operation", OperationName(record.kind));
    if (claim) AddClaim(message.headers.get(), *claim);
    return message;
  };
  if (record.kind != ChangeKind::kTruncate) return producer_->Send(message(RD_KAFKA_PARTITION_UA));
  // It is about every key, so it stands in every partition, behind what it is about.
  ASSIGN_OR_RETURN(const int partitions, topics_->Partitions(*table.topic));
  for (int partition = 0; partition < partitions; ++partition) {
    KafkaMessage one = message(partition);
    if (table.topic->settings.compacted) one.key = "";  // such a topic takes no message without a key
    RETURN_IF_ERROR(producer_->Send(std::move(one)));
  }
  return absl::OkStatus();
}

// ---- a message for many changes ----

absl::Status MessageWriter::WriteBatches(Table* table, const ChangeBatch& batch, uint32_t relation) {
  const std::vector<Change>& changes = batch.changes();
  places_.clear();
  for (size_t i = 0; i < changes.size(); ++i) {
    if (changes[i].relation == relation) places_.push_back(i);
  }
  const size_t around = table->headers_bytes + table->batch_key.size() + kFrame;
  const int64_t largest = options_->max_message_bytes - static_cast<int64_t>(around);
  const auto limit = static_cast<double>(std::min(options_->max_batch_bytes, largest));
  for (size_t next = 0; next < places_.size();) {
    // As many as will fit by what the last ones took, with some room.
    const double guess = table->bytes_per_change > 0 ? 0.9 * limit / table->bytes_per_change : 1000;
    size_t count = std::clamp<size_t>(static_cast<size_t>(guess), 1, places_.size() - next);
    for (;;) {
      payload_.clear();
      RETURN_IF_ERROR(codec_->EncodeBatch({batch, relation, places_[next], places_[next + count - 1] + 1}, &payload_));
      const double size = static_cast<double>(payload_.size());
      table->bytes_per_change = size / static_cast<double>(count);
      if (size <= limit || count == 1) break;
      count = std::clamp<size_t>(static_cast<size_t>(0.9 * static_cast<double>(count) * limit / size), 1, count / 2);
    }
    const Change& last = changes[places_[next + count - 1]];
    next += count;
    if (static_cast<int64_t>(payload_.size()) <= largest) {
      RETURN_IF_ERROR(SendBatch(*table, batch, last, count, nullptr));
      continue;
    }
    ASSIGN_OR_RETURN(const std::optional<Claim> claim,
                     TryClaim(*table, batch.position(last), "batch", payload_, around));
    RETURN_IF_ERROR(claim ? SendBatch(*table, batch, last, count, &*claim)
                          : TooLarge(*table, batch.position(last), payload_.size() + around,
                                     options_->max_message_bytes, "max_message_bytes"));
  }
  return absl::OkStatus();
}

absl::Status MessageWriter::SendBatch(const Table& table, const ChangeBatch& batch, const Change& last, size_t changes,
                                      const Claim* claim) {
  KafkaMessage message{.topic = table.topic->handle.get(),
                       .key = KeyOf(table.batch_key),
                       .value = claim == nullptr ? payload_ : claim->value};
  message.headers = Headers(table, batch.transaction(last), last.seq, last.kind);
  AddNumber(message.headers.get(), "wallaby-changes", changes);
  if (claim != nullptr) AddClaim(message.headers.get(), *claim);
  return producer_->Send(std::move(message));
}

// ---- what does not fit ----

absl::StatusOr<std::optional<Claim>> MessageWriter::TryClaim(const Table& table, Position position,
                                                             std::string_view operation, std::string_view payload,
                                                             size_t rest) {
  if (claims_ == nullptr) return std::nullopt;
  Claim claim = claims_->Name(table.topic->name, position, operation, payload);
  if (rest + claim.message_bytes() > static_cast<size_t>(options_->max_message_bytes)) return std::nullopt;
  const bool batch = options_->message_mode == MessageMode::kBatch;
  RETURN_IF_ERROR(claims_->Put(claim, payload, batch ? codec_->content_type() : codec_->record_content_type()));
  return claim;
}

absl::Status MessageWriter::TooLarge(const Table& table, Position position, size_t bytes, int64_t limit,
                                     std::string_view option) {
  const std::string& name = table.batch_key;
  const std::string why = absl::StrCat("the change at ", position.ToString(), " is a message of ", bytes,
                                       " bytes, and ", option, " is ", limit);
  if (options_->oversize_policy == OversizePolicy::kDrop) {
    if (left_out_) left_out_(name, why);
    return absl::OkStatus();
  }
  const char* even_so = claims_ == nullptr ? "" : "; a claim check does not help, as its key is too large";
  return absl::FailedPreconditionError(absl::StrCat(
      "table ", name, ": ", why, even_so, "; raise ", option, " (and max.message.bytes of topic ", table.topic->name,
      "), or set oversize_policy to drop, to leave such changes out", claims_ == nullptr ? ", or to claim_check" : ""));
}

}  // namespace wallaby
