#include "codec/arrow_rows.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "arrow/array/builder_binary.h"
#include "arrow/array/builder_decimal.h"
#include "arrow/array/builder_primitive.h"
#include "arrow/array/builder_time.h"
#include "arrow/extension/uuid.h"
#include "arrow/extension_type.h"
#include "arrow/record_batch.h"
#include "arrow/type.h"
#include "arrow/util/decimal.h"
#include "base/check.h"
#include "base/status.h"
#include "change/append_rows.h"
#include "change/value.h"
#include "codec/value_error.h"

namespace wallaby {
namespace {

constexpr int64_t kFirstReserve = 1024;
constexpr int64_t kLargestReserve = 64 * 1024;

absl::Status FromArrow(const arrow::Status& status) {
  if (status.ok()) return absl::OkStatus();
  const std::string text = absl::StrCat("Arrow: ", status.ToString());
  return status.IsOutOfMemory() || status.IsCapacityError() ? absl::ResourceExhaustedError(text)
                                                            : absl::InternalError(text);
}

std::shared_ptr<arrow::DataType> ArrowType(const PgType& type) {
  switch (type.logical) {
    case LogicalType::kText:
    case LogicalType::kJson:
      return arrow::utf8();
    case LogicalType::kBool:
      return arrow::boolean();
    case LogicalType::kInt16:
      return arrow::int16();
    case LogicalType::kInt32:
      return arrow::int32();
    case LogicalType::kInt64:
      return arrow::int64();
    case LogicalType::kUInt32:
      return arrow::uint32();
    case LogicalType::kFloat32:
      return arrow::float32();
    case LogicalType::kFloat64:
      return arrow::float64();
    case LogicalType::kDecimal:
      return arrow::decimal128(type.precision, type.scale);
    case LogicalType::kBytes:
      return arrow::binary();
    case LogicalType::kDate:
      return arrow::date32();
    case LogicalType::kTime:
      return arrow::time64(arrow::TimeUnit::MICRO);
    case LogicalType::kTimestamp:
      return arrow::timestamp(arrow::TimeUnit::MICRO);
    case LogicalType::kTimestampTz:
      return arrow::timestamp(arrow::TimeUnit::MICRO, "UTC");
    case LogicalType::kUuid:
      return arrow::extension::uuid();
  }
  return arrow::utf8();
}

std::shared_ptr<arrow::DataType> ArrowType(const ArrowColumn& column) {
  switch (column.source) {
    case ArrowSource::kRow:
    case ArrowSource::kOrigin:
      return ArrowType(column.type);
    case ArrowSource::kOp:
    case ArrowSource::kUnchanged:
      return arrow::utf8();
    case ArrowSource::kLsn:
    case ArrowSource::kSeq:
    case ArrowSource::kCopies:
      return arrow::int64();
    case ArrowSource::kCommitTime:
      return arrow::timestamp(arrow::TimeUnit::MICRO, "UTC");
  }
  return arrow::utf8();
}

// One column being built. `append` is chosen once; it puts a value that is there into `builder`, which has room for it.
struct Appender {
  using Fn = absl::Status (*)(Appender&, const Field&);

  ArrowColumn column;
  std::shared_ptr<arrow::DataType> type;
  std::unique_ptr<arrow::ArrayBuilder> builder;
  Fn append = nullptr;
  std::string scratch;
  int64_t* string_bytes = nullptr;  // sum over all columns

  template <typename Builder>
  Builder& As() {
    return static_cast<Builder&>(*builder);
  }
  absl::Status PutString(std::string_view value) {
    *string_bytes += static_cast<int64_t>(value.size());
    const arrow::Status status = As<arrow::BinaryBuilder>().Append(value.data(), static_cast<int32_t>(value.size()));
    return status.ok() ? absl::OkStatus() : FromArrow(status);
  }
};

absl::Status AppendBool(Appender& a, const Field& field) {
  bool value;
  RETURN_IF_ERROR(ReadBool(field, &value));
  a.As<arrow::BooleanBuilder>().UnsafeAppend(value);
  return absl::OkStatus();
}

template <typename Builder, typename Int>
absl::Status AppendInt(Appender& a, const Field& field) {
  if (field.kind == FieldKind::kBinary && field.bytes.size() == sizeof(Int)) [[likely]] {
    Int value;
    if constexpr (sizeof(Int) == 2) {
      value = static_cast<Int>(ReadBigEndian16(field.bytes.data()));
    } else if constexpr (sizeof(Int) == 4) {
      value = static_cast<Int>(ReadBigEndian32(field.bytes.data()));
    } else {
      value = static_cast<Int>(ReadBigEndian64(field.bytes.data()));
    }
    a.As<Builder>().UnsafeAppend(value);
    return absl::OkStatus();
  }
  if (field.kind == FieldKind::kBinary) {
    return absl::InvalidArgumentError(
        absl::StrCat("a binary value of ", field.bytes.size(), " bytes is not of type ", a.type->ToString()));
  }
  int64_t wide;
  RETURN_IF_ERROR(ReadInt(field, &wide));
  if (!std::in_range<Int>(wide)) {
    return absl::OutOfRangeError(absl::StrCat(wide, " does not fit ", a.type->ToString()));
  }
  a.As<Builder>().UnsafeAppend(static_cast<Int>(wide));
  return absl::OkStatus();
}

template <typename Builder, auto Read>
absl::Status AppendFixed(Appender& a, const Field& field) {
  typename Builder::value_type value;
  RETURN_IF_ERROR(Read(field, &value));
  a.As<Builder>().UnsafeAppend(value);
  return absl::OkStatus();
}

absl::Status AppendDecimal(Appender& a, const Field& field) {
  absl::int128 value;
  RETURN_IF_ERROR(ReadDecimal(field, a.column.type, &value));
  a.As<arrow::Decimal128Builder>().UnsafeAppend(arrow::Decimal128(absl::Int128High64(value), absl::Int128Low64(value)));
  return absl::OkStatus();
}

absl::Status AppendUuid(Appender& a, const Field& field) {
  unsigned char bytes[16];
  RETURN_IF_ERROR(ReadUuid(field, bytes));
  a.As<arrow::FixedSizeBinaryBuilder>().UnsafeAppend(bytes);
  return absl::OkStatus();
}

absl::Status AppendBytes(Appender& a, const Field& field) {
  std::string_view value;
  RETURN_IF_ERROR(ReadBytes(field, &a.scratch, &value));
  return a.PutString(value);
}

absl::Status AppendString(Appender& a, const Field& field) {
  std::string_view value;
  RETURN_IF_ERROR(ReadText(field, a.column.type, &a.scratch, &value));
  return a.PutString(value);
}

Appender::Fn ChooseAppend(LogicalType logical) {
  switch (logical) {
    case LogicalType::kText:
    case LogicalType::kJson:
      return AppendString;
    case LogicalType::kBool:
      return AppendBool;
    case LogicalType::kInt16:
      return AppendInt<arrow::Int16Builder, int16_t>;
    case LogicalType::kInt32:
      return AppendInt<arrow::Int32Builder, int32_t>;
    case LogicalType::kInt64:
      return AppendInt<arrow::Int64Builder, int64_t>;
    case LogicalType::kUInt32:
      return AppendFixed<arrow::UInt32Builder, ReadUint32>;
    case LogicalType::kFloat32:
      return AppendFixed<arrow::FloatBuilder, ReadFloat32>;
    case LogicalType::kFloat64:
      return AppendFixed<arrow::DoubleBuilder, ReadFloat64>;
    case LogicalType::kDecimal:
      return AppendDecimal;
    case LogicalType::kBytes:
      return AppendBytes;
    case LogicalType::kDate:
      return AppendFixed<arrow::Date32Builder, ReadDate>;
    case LogicalType::kTime:
      return AppendFixed<arrow::Time64Builder, ReadTime>;
    case LogicalType::kTimestamp:
    case LogicalType::kTimestampTz:
      return AppendFixed<arrow::TimestampBuilder, ReadTimestamp>;
    case LogicalType::kUuid:
      return AppendUuid;
  }
  return AppendString;
}

std::unique_ptr<arrow::ArrayBuilder> NewBuilder(const std::shared_ptr<arrow::DataType>& type) {
  const bool extension = type->id() == arrow::Type::EXTENSION;
  const auto storage = extension ? static_cast<const arrow::ExtensionType&>(*type).storage_type() : type;
  std::unique_ptr<arrow::ArrayBuilder> builder;
  const arrow::Status status = arrow::MakeBuilder(arrow::default_memory_pool(), storage, &builder);
  WALLABY_CHECK(status.ok(), "Arrow has a builder for every type chosen here");
  return builder;
}

}  // namespace

std::vector<ArrowColumn> ArrowAppendColumns(const Relation& relation,
                                            absl::FunctionRef<PgType(const Column&)> type_of) {
  std::vector<ArrowColumn> columns;
  for (const Column& column : relation.columns) {
    columns.push_back({column.name, ArrowSource::kRow, static_cast<int>(columns.size()), type_of(column)});
  }
  columns.push_back({kOpColumn, ArrowSource::kOp});
  columns.push_back({kLsnColumn, ArrowSource::kLsn});
  columns.push_back({kSeqColumn, ArrowSource::kSeq});
  columns.push_back({kCommitTimeColumn, ArrowSource::kCommitTime});
  columns.push_back({kUnchangedColumn, ArrowSource::kUnchanged});
  return columns;
}

struct ArrowRows::Impl {
  Impl(const Relation& r, std::vector<ArrowColumn> columns) : relation(r) {
    arrow::FieldVector arrow_fields;
    for (ArrowColumn& column : columns) {
      Appender a;
      a.type = ArrowType(column);
      a.builder = NewBuilder(a.type);
      a.append = ChooseAppend(column.type.logical);
      a.string_bytes = &string_bytes;
      const bool from_row = column.source == ArrowSource::kRow || column.source == ArrowSource::kOrigin;
      WALLABY_CHECK(!from_row || (column.index >= 0 && column.index < static_cast<int>(relation.columns.size())),
                    "an Arrow column stands for a column of the relation");
      reads_origin |= column.source == ArrowSource::kOrigin;
      const int bits = a.builder->type()->id() == arrow::Type::BOOL     ? 8
                       : arrow::is_fixed_width(a.builder->type()->id()) ? a.builder->type()->bit_width()
                                                                        : 32;
      row_bytes += bits / 8 + 1;
      arrow_fields.push_back(arrow::field(column.name, a.type));
      a.column = std::move(column);
      appenders.push_back(std::move(a));
    }
    schema = arrow::schema(std::move(arrow_fields));
    row_fields.resize(relation.columns.size());
    origin_fields.resize(relation.columns.size());
  }

  absl::Status Reserve() {
    const int64_t more = std::clamp(rows, kFirstReserve, kLargestReserve);
    for (Appender& a : appenders) RETURN_IF_ERROR(FromArrow(a.builder->Reserve(more)));
    reserved = rows + more;
    return absl::OkStatus();
  }

  absl::Status Split(const char* tuple, std::vector<Field>* fields) const {
    TupleCursor cursor(tuple);
    if (cursor.count() != static_cast<int>(fields->size())) [[unlikely]] {
      return WrongColumnCount(relation, cursor.count());
    }
    for (Field* f = fields->data(); !cursor.done(); cursor.Next()) *f++ = cursor.field();
    return absl::OkStatus();
  }

  absl::Status AppendUnchanged(Appender& a) {
    a.scratch.clear();
    for (size_t i = 0; i < row_fields.size(); ++i) {
      if (!row_fields[i].is_absent()) continue;
      if (!a.scratch.empty()) a.scratch.push_back(',');
      a.scratch.append(relation.columns[i].name);
    }
    if (!a.scratch.empty()) return a.PutString(a.scratch);
    return FromArrow(a.builder->AppendNull());
  }

  absl::Status AppendField(Appender& a, const Field& field) {
    if (field.is_null() || field.is_absent()) return FromArrow(a.builder->AppendNull());
    absl::Status status = a.append(a, field);
    if (status.ok()) [[likely]]
      return status;
    return ExplainValue(status, relation, a.column.index, a.column.type);
  }

  absl::Status AppendColumn(Appender& a, const RowExtras& extras) {
    const auto index = static_cast<size_t>(a.column.index);
    switch (a.column.source) {
      case ArrowSource::kRow:
        return AppendField(a, row_fields[index]);
      case ArrowSource::kOrigin:
        return AppendField(a, origin_fields[index]);
      case ArrowSource::kOp:
        return a.PutString(std::string_view(&extras.op, 1));
      case ArrowSource::kLsn:
        a.As<arrow::Int64Builder>().UnsafeAppend(static_cast<int64_t>(extras.lsn));
        return absl::OkStatus();
      case ArrowSource::kSeq:
        a.As<arrow::Int64Builder>().UnsafeAppend(extras.seq);
        return absl::OkStatus();
      case ArrowSource::kCommitTime:
        a.As<arrow::TimestampBuilder>().UnsafeAppend(extras.commit_time_micros);
        return absl::OkStatus();
      case ArrowSource::kUnchanged:
        return AppendUnchanged(a);
      case ArrowSource::kCopies:
        a.As<arrow::Int64Builder>().UnsafeAppend(extras.copies);
        return absl::OkStatus();
    }
    return absl::OkStatus();
  }

  const Relation& relation;
  std::vector<Appender> appenders;
  std::shared_ptr<arrow::Schema> schema;
  std::vector<Field> row_fields;
  std::vector<Field> origin_fields;
  bool reads_origin = false;
  int64_t rows = 0;
  int64_t reserved = 0;
  int64_t row_bytes = 0;     // of a row's fixed parts
  int64_t string_bytes = 0;  // of all rows
};

ArrowRows::ArrowRows(const Relation& relation, std::vector<ArrowColumn> columns)
    : impl_(std::make_unique<Impl>(relation, std::move(columns))) {}

ArrowRows::~ArrowRows() = default;

absl::Status ArrowRows::Append(const char* tuple, const RowExtras& extras) {
  Impl& impl = *impl_;
  if (impl.rows == impl.reserved) RETURN_IF_ERROR(impl.Reserve());
  RETURN_IF_ERROR(impl.Split(tuple, &impl.row_fields));
  if (impl.reads_origin) {
    if (extras.origin != nullptr) {
      RETURN_IF_ERROR(impl.Split(extras.origin, &impl.origin_fields));
    } else {
      std::fill(impl.origin_fields.begin(), impl.origin_fields.end(), Field{});
    }
  }
  for (Appender& a : impl.appenders) RETURN_IF_ERROR(impl.AppendColumn(a, extras));
  ++impl.rows;
  return absl::OkStatus();
}

int64_t ArrowRows::rows() const {
  return impl_->rows;
}

int64_t ArrowRows::bytes() const {
  return impl_->rows * impl_->row_bytes + impl_->string_bytes;
}

std::shared_ptr<arrow::Schema> ArrowRows::schema() const {
  return impl_->schema;
}

absl::StatusOr<std::shared_ptr<arrow::RecordBatch>> ArrowRows::Finish() {
  arrow::ArrayVector arrays;
  for (Appender& a : impl_->appenders) {
    std::shared_ptr<arrow::Array> array;
    RETURN_IF_ERROR(FromArrow(a.builder->Finish(&array)));
    if (a.type->id() == arrow::Type::EXTENSION) {
      array = arrow::ExtensionType::WrapArray(a.type, array);
    }
    arrays.push_back(std::move(array));
  }
  const int64_t rows = std::exchange(impl_->rows, 0);
  impl_->reserved = 0;
  impl_->string_bytes = 0;
  return arrow::RecordBatch::Make(impl_->schema, rows, std::move(arrays));
}

}  // namespace wallaby
