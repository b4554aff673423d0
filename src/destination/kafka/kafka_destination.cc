#include "destination/kafka/kafka_destination.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status.h"
#include "destination/kafka/topic_name.h"
#include "destination/payload_codec.h"

namespace wallaby {

absl::StatusOr<std::unique_ptr<Destination>> KafkaDestination::Make(const DestinationConfig& config) {
  ASSIGN_OR_RETURN(TableOptions table, ParseTableOptions(config.type, config));
  ASSIGN_OR_RETURN(KafkaOptions options, ParseKafkaOptions(config.type, config));
  table.write_mode = WriteMode::kAppend;
  // The library checks its properties when a client is made, which connects to nobody yet.
  RETURN_IF_ERROR(Producer::Make(options, config.memory_limit).status());
  std::unique_ptr<KafkaDestination> made(new KafkaDestination(config, std::move(table), std::move(options)));
  ASSIGN_OR_RETURN(made->codec_, made->MakeCodec(config));
  DestinationConfig without_registry = config;
  std::erase_if(without_registry.options,
                [](const auto& option) { return option.first.starts_with("schema_registry"); });
  ASSIGN_OR_RETURN(made->checker_, made->MakeCodec(without_registry));
  if (const auto& bucket = made->options_.claim_check) {
    ASSIGN_OR_RETURN(made->claims_, ClaimCheck::Make(config, *bucket));
  }
  return made;
}

KafkaDestination::KafkaDestination(DestinationConfig config, TableOptions table, KafkaOptions options)
    : config_(std::move(config)), table_(std::move(table)), options_(std::move(options)) {}

absl::StatusOr<std::unique_ptr<Codec>> KafkaDestination::MakeCodec(const DestinationConfig& config) const {
  return MakePayloadCodec(config, table_, [this](const Relation& relation) { return TopicOf(relation); });
}

std::string KafkaDestination::TopicOf(const Relation& relation) const {
  return TopicName(options_.topic, table_.TargetSchema(relation), table_.TargetTable(relation));
}

std::string KafkaDestination::ProgressPrefix() const {
  return absl::StrCat(table_.meta_schema, ".", table_.meta_table);
}

std::string KafkaDestination::ProgressTopicName() const {
  return absl::StrCat(ProgressPrefix(), ".", config_.flow_id, ".", config_.name);
}

// ---- opening ----

absl::StatusOr<Progress> KafkaDestination::Open() {
  session_.reset();
  // Before the first large row is met, which may be long after.
  if (claims_ != nullptr) RETURN_IF_ERROR(claims_->Check());
  Session session;
  ASSIGN_OR_RETURN(session.producer, Producer::Make(options_, config_.memory_limit / 2));
  if (options_.transactional()) RETURN_IF_ERROR(OpenProgress(&session));
  KafkaClient* client = session.producer->client();
  session.topics = std::make_unique<Topics>(client, &options_);
  session.writer = std::make_unique<MessageWriter>(
      &options_, codec_.get(), session.producer.get(), session.topics.get(), claims_.get(),
      [this](const Relation& relation) { return TopicOf(relation); }, config_.left_out);
  session.next = session.stored;
  session_.emplace(std::move(session));
  return session_->stored.progress;
}

absl::Status KafkaDestination::OpenProgress(Session* session) {
  session->progress_topic.emplace(session->producer->client(), &options_, ProgressTopicName(), config_.flow_id,
                                  config_.name);
  ProgressTopic& topic = *session->progress_topic;
  RETURN_IF_ERROR(topic.Ensure());
  // Asked twice: a worker of an older generation must go before it shuts out the one that has taken over, and what that
  // one's last transaction came to is known only when it is shut out.
  ASSIGN_OR_RETURN(const KafkaProgress before, topic.Read(ProgressTopic::Upto::kOpen));
  RETURN_IF_ERROR(Fence(before));
  RETURN_IF_ERROR(session->producer->InitTransactions());
  ASSIGN_OR_RETURN(session->stored, topic.Read(ProgressTopic::Upto::kEnd));
  RETURN_IF_ERROR(Fence(session->stored));
  session->stored.generation = config_.generation;
  RETURN_IF_ERROR(session->producer->Begin());
  RETURN_IF_ERROR(topic.WritePosition(session->producer.get(), session->stored));
  RETURN_IF_ERROR(topic.WriteTables(session->producer.get(), session->stored));
  return session->producer->Commit();
}

absl::Status KafkaDestination::Fence(const KafkaProgress& stored) const {
  if (stored.generation <= config_.generation) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("fenced: a worker of generation ", stored.generation,
                                                    " has written for flow ", config_.flow_id,
                                                    ", this one is of generation ", config_.generation));
}

absl::Status KafkaDestination::CheckOpen() const {
  if (session_.has_value()) return absl::OkStatus();
  return absl::FailedPreconditionError("the connection to Kafka is not open; open it again");
}

absl::Status KafkaDestination::Broken(absl::Status status) {
  if (!status.ok()) session_.reset();
  return status;
}

// ---- tables ----

absl::Status KafkaDestination::CheckTable(const Relation& relation) {
  const std::string topic = TopicOf(relation);
  const std::string what = absl::StrCat("table ", relation.QualifiedName());
  RETURN_IF_ERROR(Annotate(CheckTopicName(topic), what));
  if (absl::StartsWith(topic, absl::StrCat(ProgressPrefix(), "."))) {
    return absl::InvalidArgumentError(
        absl::StrCat(what, ": topics like ", topic, " hold the progress of flows; choose another with option topic"));
  }
  RETURN_IF_ERROR(checker_->Describe(std::make_shared<const Relation>(relation)).status());
  if (!session_.has_value()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const TopicSettings settings, session_->topics->Check(topic));
  if (settings.compacted && !relation.has_key()) {
    return absl::FailedPreconditionError(
        absl::StrCat(what, " has no key, and its topic ", topic,
                     " is compacted, which takes no message without; give the table a primary key or a replica "
                     "identity, or the topic cleanup.policy delete"));
  }
  return absl::OkStatus();
}

absl::Status KafkaDestination::Write(const ChangeBatch& batch) {
  RETURN_IF_ERROR(CheckOpen());
  for (const RelationPtr& relation : batch.relations()) {
    session_->tables_changed |= session_->next.tables.insert(relation->QualifiedName()).second;
  }
  RETURN_IF_ERROR(Broken(session_->producer->Begin()));
  return Broken(session_->writer->Write(batch));
}

absl::Status KafkaDestination::Commit(const CommitPoint& point) {
  RETURN_IF_ERROR(CheckOpen());
  Progress& progress = session_->next.progress;
  if (point.commit.valid()) {
    progress.commit = point.commit;
    progress.end = point.end;
  }
  progress.snapshot_parts.insert(point.finished_parts.begin(), point.finished_parts.end());
  session_->tables_changed |= !point.finished_parts.empty();
  return Broken(WriteProgress());
}

absl::Status KafkaDestination::WriteProgress() {
  Session& session = *session_;
  RETURN_IF_ERROR(session.producer->Begin());
  if (session.progress_topic.has_value()) {
    RETURN_IF_ERROR(session.progress_topic->WritePosition(session.producer.get(), session.next));
    if (session.tables_changed) {
      RETURN_IF_ERROR(session.progress_topic->WriteTables(session.producer.get(), session.next));
    }
  }
  RETURN_IF_ERROR(session.producer->Commit());
  session.stored = session.next;
  session.tables_changed = false;
  return absl::OkStatus();
}

absl::Status KafkaDestination::ResetSnapshot(const Relation& relation, std::string_view part_prefix) {
  RETURN_IF_ERROR(CheckOpen());
  KafkaProgress& next = session_->next;
  if (next.tables.contains(relation.QualifiedName())) {
    // Behind everything of the last transaction that is in.
    ChangeBatch batch;
    batch.AddTransaction({.commit = next.progress.commit,
                          .end = next.progress.end,
                          .commit_time_micros = absl::ToUnixMicros(absl::Now())});
    Change& truncate = batch.AddChange();
    truncate.kind = ChangeKind::kTruncate;
    truncate.seq = std::numeric_limits<uint32_t>::max();
    truncate.relation = batch.AddRelation(std::make_shared<const Relation>(relation));
    RETURN_IF_ERROR(Write(batch));
  }
  std::erase_if(next.progress.snapshot_parts, [&](const std::string& part) { return part.starts_with(part_prefix); });
  session_->tables_changed = true;
  return Broken(WriteProgress());
}

// ---- schema changes ----

std::string KafkaDestination::DdlRemark(const SchemaStep& step, const SchemaChange& change) const {
  switch (step.kind) {
    case SchemaStepKind::kCreateTable:
      return absl::StrCat("messages go to topic ", TopicOf(change.after->relation));
    case SchemaStepKind::kDropTable:
      return absl::StrCat("topic ", TopicOf(change.before->relation), " stays");
    case SchemaStepKind::kRenameTable: {
      const std::string before = TopicOf(change.before->relation), after = TopicOf(change.after->relation);
      if (before == after) return absl::StrCat("the table's topic stays ", after);
      return absl::StrCat("the next messages go to topic ", after, "; those in ", before, " stay");
    }
    case SchemaStepKind::kNullability:
    case SchemaStepKind::kDefault:
      return absl::StrCat(DescribeStep(step), ": messages do not show it");
    default:
      return absl::StrCat("the next messages follow: ", DescribeStep(step));
  }
}

std::vector<std::string> KafkaDestination::DdlStatements(const SchemaChange& change) const {
  std::vector<std::string> lines;
  for (const SchemaStep& step : change.steps) lines.push_back(absl::StrCat("-- ", DdlRemark(step, change)));
  return lines;
}

absl::Status KafkaDestination::ApplyDdl(const SchemaChange& change) {
  RETURN_IF_ERROR(CheckOpen());
  if (!change.after) return absl::OkStatus();
  const Relation visible = change.after->Visible();
  RETURN_IF_ERROR(CheckTable(visible));
  return codec_->Describe(std::make_shared<const Relation>(visible)).status();
}

}  // namespace wallaby
