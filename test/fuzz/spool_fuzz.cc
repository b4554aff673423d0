// The spool's files: a segment of any bytes; blocks with right checksums and anything in them, in any order; names;
// about.json. First byte: which of these.

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "fuzz.h"
#include "spool/about.h"
#include "spool/announcements.h"
#include "spool/block.h"
#include "spool/group_reader.h"
#include "spool/lsn_file.h"
#include "spool/segment.h"
#include "spool/tail.h"

namespace wallaby::spool {
namespace {

constexpr Lsn kStart{0x1000};

std::string MakeScratch() {
  std::string folder =
      std::string(std::getenv("TMPDIR") != nullptr ? std::getenv("TMPDIR") : "/tmp") + "/spool_fuzz_XXXXXX";
  REQUIRE(mkdtemp(folder.data()) != nullptr, "no folder");
  static struct Remover {
    std::string folder;
    ~Remover() { std::filesystem::remove_all(folder); }
  } remover{folder};
  return folder;
}
const std::string& Scratch() {
  static const std::string folder = MakeScratch();
  return folder;
}

void Write(const std::string& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << std::string(bytes);
}

void Names(std::string_view text) {
  std::string name;
  REQUIRE(ParseFileName(FileName(text), &name) && name == text, "a name is lost");
  REQUIRE(FileName(text).find('/') == std::string::npos && FileName(text).find('.') == std::string::npos,
          "leaves the folder");
  if (ParseFileName(text, &name)) REQUIRE(FileName(name) == text, "two files for one name");
  Lsn lsn;
  if (ParseLsnDigits(text, &lsn)) REQUIRE(LsnDigits(lsn) == text, "two files for one position");
}

// Follows the segment as a reader does; how far whole transactions go.
uint64_t Follow() {
  auto segment = SegmentReader::Open(Scratch(), kStart, "");
  REQUIRE(segment.ok(), "the segment is there");
  GroupReader groups(*std::move(segment));
  Announcements announcements;
  while (true) {
    const auto found = groups.FindGroup();
    if (!found.ok() || !*found) return groups.end();
    while (true) {
      const auto block = groups.NextBlock();
      if (!block.ok() || !*block) break;
      std::string_view rest = groups.payload();
      std::string_view message;
      while (TakeMessage(&rest, &message)) {
        if (message[0] == 'R') announcements.Keep(message, groups.preamble());
        for (int i = 0; !announcements.Before(message).empty(); ++i) REQUIRE(i < 100'000, "announces for ever");
      }
    }
  }
}

void Segment(const std::string& bytes) {
  Write(SegmentPath(Scratch(), kStart), bytes);
  const uint64_t followed = Follow();
  REQUIRE(followed <= bytes.size(), "more was read than there is");
  const auto tail = ReadTail(Scratch(), kStart, "", kStart);
  if (!tail.ok()) return;
  REQUIRE(tail->end <= followed && tail->end <= tail->size && tail->size == bytes.size() && tail->written <= tail->end,
          "the tail's places");
  REQUIRE(tail->position >= kStart, "ends before it starts");
}

// Each block: flags, position, what is wrong with it, and its messages.
std::string Blocks(fuzz::Input* in) {
  std::string segment;
  while (!in->empty()) {
    BlockHeader header;
    header.flags = in->Byte();
    header.position = Lsn{kStart.value + in->Number(2)};
    header.durable = Lsn{in->Number(2)};
    const uint8_t wrong = in->Byte();
    std::string payload;
    for (int i = in->Byte() % 8; i > 0; --i) {
      const std::string_view message = in->Take(in->Byte());
      char length[kLengthBytes];
      EncodeLength(static_cast<uint32_t>(message.size()) + (wrong == 1 ? 1 : 0), length);
      payload.append(length, kLengthBytes).append(message);
    }
    header.payload_bytes = static_cast<uint32_t>(payload.size()) + (wrong == 2 ? 9 : 0) + (wrong == 3 ? 1u << 29 : 0);
    header.payload_checksum = Checksum(payload) + (wrong == 4 ? 1 : 0);
    char bytes[kHeaderBytes];
    EncodeHeader(header, kStart, segment.size() + (wrong == 5 ? 1 : 0), bytes);
    BlockHeader again;
    REQUIRE(DecodeHeader(bytes, kStart, segment.size(), &again) == (wrong != 5), "a header is valid in its place");
    if (wrong != 5) {
      REQUIRE(again.flags == header.flags && again.position == header.position && again.durable == header.durable &&
                  again.payload_bytes == header.payload_bytes && again.payload_checksum == header.payload_checksum,
              "a header reads as another");
    }
    segment.append(bytes, kHeaderBytes).append(payload);
  }
  return segment;
}

}  // namespace
}  // namespace wallaby::spool

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace wallaby;
  fuzz::Input in(data, size);
  switch (in.Byte() % 4) {
    case 0:
      spool::Segment(std::string(in.Rest()));
      break;
    case 1:
      spool::Segment(spool::Blocks(&in));
      break;
    case 2:
      spool::Names(in.Rest());
      break;
    default:
      spool::Write(spool::Scratch() + "/about.json", in.Rest());
      (void)spool::ReadAbout(spool::Scratch());
  }
  return 0;
}
