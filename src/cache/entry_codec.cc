#include "sluice/cache/entry_codec.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "sluice/cache/vary.h"
#include "sluice/http/chars.h"
#include "sluice/http/h1_parser.h"

namespace sluice::cache {
namespace {

constexpr std::string_view kMagic = "SLCR";
constexpr uint16_t kVersion = 2;
enum class Kind : uint16_t { whole = 1, index = 2, chunk = 3 };

constexpr http::HeadLimits kHeadLimits{.head = 64 * 1024, .fields = 256};
constexpr size_t kLongestKey = 64 * 1024;
constexpr uint64_t kLongestBody = uint64_t{1} << 40;
constexpr size_t kLongestVaryValue = 64 * 1024;
// So that no sum of a time and some durations leaves what nanoseconds can say.
constexpr Duration kLatest = std::chrono::seconds(int64_t{1} << 32);
constexpr Duration kLongest = std::chrono::seconds(int64_t{1} << 31);

class Writer {
 public:
  // Leaves room for the header, which finish() writes.
  explicit Writer(std::string& out) : out_(out), begin_(out.size()) {
    out_.append(kRecordHeader, '\0');
  }
  template <typename T>
  void number(T value) {
    char bytes[sizeof(T)];
    put_number(bytes, value);
    out_.append(bytes, sizeof(T));
  }
  void text(std::string_view bytes) { out_.append(bytes); }
  void finish(Kind kind) {
    char* header = out_.data() + begin_;
    kMagic.copy(header, kMagic.size());
    put_number(header + 4, kVersion);
    put_number(header + 6, static_cast<uint16_t>(kind));
    put_number(header + 8, static_cast<uint64_t>(out_.size() - begin_));
    const std::string_view record = std::string_view(out_).substr(begin_);
    put_number(header + kChecksumAt, record_checksum(record));
  }

 private:
  template <typename T>
  static void put_number(char* out, T value) noexcept {
    auto bits = static_cast<std::make_unsigned_t<T>>(value);
    for (size_t i = 0; i < sizeof(T); ++i) out[i] = static_cast<char>(uint64_t{bits} >> (8 * i));
  }

  std::string& out_;
  const size_t begin_;
};

// Reads on while there is something; once something is missing all that follows is empty.
class Reader {
 public:
  explicit Reader(std::string_view bytes) noexcept : rest_(bytes) {}

  template <typename T>
  T number() noexcept {
    const std::string_view bytes = text(sizeof(T));
    uint64_t value = 0;
    for (size_t i = 0; i < bytes.size(); ++i) {
      value |= uint64_t{static_cast<uint8_t>(bytes[i])} << (8 * i);
    }
    return static_cast<T>(value);
  }
  std::string_view text(uint64_t size) noexcept {
    if (size > rest_.size()) {
      is_short_ = true;
      rest_ = {};
      return {};
    }
    const std::string_view bytes = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return bytes;
  }
  Duration duration() noexcept { return Duration(number<int64_t>()); }
  WallTime time() noexcept {
    return WallTime(std::chrono::duration_cast<WallTime::duration>(duration()));
  }
  size_t left() const noexcept { return rest_.size(); }
  bool is_at_end() const noexcept { return rest_.empty() && !is_short_; }
  bool is_short() const noexcept { return is_short_; }

 private:
  std::string_view rest_;
  bool is_short_ = false;
};

int64_t nanoseconds(WallTime time) noexcept {
  return std::chrono::duration_cast<Duration>(time.time_since_epoch()).count();
}

void write_times(const EntryTimes& times, Writer& out) {
  out.number(nanoseconds(times.request));
  out.number(nanoseconds(times.response));
  out.number(nanoseconds(times.date));
  out.number(times.initial_age.count());
  out.number(times.freshness.count());
  out.number(times.stale_while_revalidate.count());
  out.number(times.stale_if_error.count());
}

bool read_times(Reader& in, EntryTimes& times) noexcept {
  for (WallTime* time : {&times.request, &times.response, &times.date}) {
    *time = in.time();
    const Duration since = time->time_since_epoch();
    if (since < Duration{0} || since > kLatest) return false;
  }
  for (Duration* duration : {&times.initial_age, &times.freshness, &times.stale_while_revalidate,
                             &times.stale_if_error}) {
    *duration = in.duration();
    if (*duration < Duration{0} || *duration > kLongest) return false;
  }
  return true;
}

void write_vary(std::span<const VaryField> fields, Writer& out) {
  out.number(static_cast<uint16_t>(fields.size()));
  for (const VaryField& field : fields) {
    out.number(static_cast<uint16_t>(field.name.size()));
    out.number(static_cast<uint32_t>(field.value.size()));
    out.number(static_cast<uint8_t>(field.is_present));
    out.text(field.name);
    out.text(field.value);
  }
}

// As vary_of() makes them: lower case, sorted, each once.
bool is_valid(const VaryField& field, std::string_view before) noexcept {
  const bool is_lower = std::none_of(field.name.begin(), field.name.end(),
                                     [](char c) { return c >= 'A' && c <= 'Z'; });
  return http::is_token(field.name) && is_lower && before < field.name &&
         http::is_all(field.value, http::kCharValue) && (field.is_present || field.value.empty());
}

bool read_vary(Reader& in, Arena& arena, std::span<const VaryField>& fields) {
  const size_t count = in.number<uint16_t>();
  if (count > kMostVaryNames) return false;
  auto* array = arena.allocate_array<VaryField>(count);
  std::string_view before;
  for (size_t i = 0; i < count; ++i) {
    const size_t name = in.number<uint16_t>();
    const size_t value = in.number<uint32_t>();
    const auto is_present = in.number<uint8_t>();
    auto* field = new (&array[i]) VaryField{in.text(name), in.text(value), is_present == 1};
    if (is_present > 1 || !is_valid(*field, before)) return false;
    before = field->name;
  }
  fields = {array, count};
  return true;
}

void write_tags(std::span<const EntryTag> tags, Writer& out) {
  out.number(static_cast<uint16_t>(tags.size()));
  for (const EntryTag& tag : tags) out.number(tag.hash);
}

bool read_tags(Reader& in, Arena& arena, std::span<const EntryTag>& tags) {
  const size_t count = in.number<uint16_t>();
  if (count > kMostTagsWritten || count * sizeof(EntryTag) > in.left()) return false;
  auto* array = arena.allocate_array<EntryTag>(count);
  for (size_t i = 0; i < count; ++i) new (&array[i]) EntryTag{in.number<uint64_t>()};
  tags = {array, count};
  return true;
}

void write_note(const RecordNote& note, Writer& out) {
  out.number(note.body_id);
  out.number(note.stamp.epoch);
  out.number(note.stamp.number);
  out.number(note.keep.count());
}

void read_note(Reader& in, RecordNote& note) noexcept {
  note.body_id = in.number<uint64_t>();
  note.stamp.epoch = in.number<uint64_t>();
  note.stamp.number = in.number<uint64_t>();
  note.keep = in.duration();
}

// What comes out of the shared tier goes to clients: a head that we would not have taken from an
// endpoint, or not stored, is not taken from there.
bool read_head(Reader& in, Arena& arena, EntrySpec& spec) {
  const std::string_view text = in.text(in.number<uint32_t>());
  if (!text.starts_with("HTTP/1.1 ")) return false;
  const auto end = http::HeadScanner().scan(text, kHeadLimits);
  if (!end || *end != text.size()) return false;
  const auto head = http::parse_response_head(text, kHeadLimits, http::Method::get, arena);
  if (!head || head->status != spec.status) return false;
  for (const http::Field& field : head->fields) {
    if (http::is_hop_by_hop(field.id)) return false;
  }
  const http::Framing& framing = head->framing;
  if (framing.kind == http::BodyKind::length && framing.length != spec.complete_length) {
    return false;
  }
  spec.reason = head->reason;
  spec.fields = {head->fields.begin(), head->fields.end()};
  return true;
}

// Which statuses a whole response may have here: none that has no body of its own by definition,
// whatever length is said (RFC 9112 section 6.3). And which lengths anybody would believe.
bool is_storable(int status, uint64_t length) noexcept {
  if (length > kLongestBody) return false;
  if (status < 200 || status > 599 || status == 206 || status == 304) return false;
  return status != 204 || length == 0;
}

// All but the body. The order is that of encode_entry().
bool read_entry(Reader& in, const Key& key, Arena& arena, DecodedEntry& entry) {
  EntrySpec& spec = entry.spec;
  const std::string_view text = in.text(in.number<uint32_t>());
  if (in.is_short()) return false;
  if (text != key.text) {
    entry.verdict = Decoded::other_key;
    return false;
  }
  spec.key = key;
  spec.status = in.number<uint16_t>();
  spec.flags = in.number<uint16_t>();
  spec.complete_length = in.number<uint64_t>();
  read_note(in, entry.note);
  if (entry.note.keep < Duration{0} || entry.note.keep > kLongest) return false;
  if (!is_storable(spec.status, *spec.complete_length)) return false;
  if ((spec.flags & ~kAllEntryFlags) != 0) return false;
  return read_times(in, spec.times) && read_vary(in, arena, spec.vary) &&
         read_tags(in, arena, spec.tags) && read_head(in, arena, spec);
}

// The header is good but for the verdict: other_version comes before the checksum, which may be
// another one there.
Decoded check_header(std::string_view record) noexcept {
  Reader in(record);
  if (record.size() < kRecordHeader || in.text(kMagic.size()) != kMagic) return Decoded::broken;
  if (in.number<uint16_t>() != kVersion) return Decoded::other_version;
  in.number<uint16_t>();  // kind
  if (in.number<uint64_t>() != record.size()) return Decoded::broken;
  return in.number<uint64_t>() == record_checksum(record) ? Decoded::good : Decoded::broken;
}
Kind kind_of(std::string_view record) noexcept {
  return static_cast<Kind>(Reader(record.substr(6)).number<uint16_t>());
}

uint64_t chunk_size(uint64_t index, uint64_t length) noexcept {
  return std::min<uint64_t>(kBodyChunk, length - index * kBodyChunk);
}

bool is_right_kind(bool is_inline, uint64_t length) noexcept {
  return is_inline ? length <= kInlineBody : length > 0;
}

// Copies `size` bytes of a complete body.
void write_body(const Ref<Body>& body, uint64_t from, uint64_t size, Writer& out) {
  BodyReader reader(body, from);
  Chain bytes;
  while (size > 0) {
    size -= reader.read(bytes, size);
    while (!bytes.is_empty()) out.text(bytes.pop_front().view());
  }
}

bool is_writable(const Entry& entry, const RecordNote& note) noexcept {
  const bool are_values_short =
      std::all_of(entry.vary().begin(), entry.vary().end(), [](const VaryField& field) {
        return field.value.size() <= kLongestVaryValue && field.name.size() <= UINT16_MAX;
      });
  if (!entry.is_whole() || !is_storable(entry.status(), *entry.complete_length())) return false;
  return is_right_kind(note.body_id == 0, *entry.complete_length()) && note.keep >= Duration{0} &&
         note.keep <= kLongest && entry.key().text.size() <= kLongestKey && are_values_short &&
         entry.vary().size() <= kMostVaryNames && entry.tags().size() <= kMostTagsWritten &&
         entry.head().raw.size() <= kHeadLimits.head && entry.fields().size() <= kHeadLimits.fields;
}

}  // namespace

Duration life_left(const EntryTimes& times, Duration keep, WallTime now) noexcept {
  const Duration resident = std::max<Duration>(now - times.response, Duration{0});
  const Duration age = times.initial_age + resident;  // RFC 9111 section 4.2.3
  return times.freshness + std::max(times.stale_while_revalidate, times.stale_if_error) + keep -
         age;
}

bool encode_entry(const Entry& entry, const RecordNote& note, std::string& out) {
  if (!is_writable(entry, note)) return false;
  const uint64_t length = *entry.complete_length();
  const bool is_inline = note.body_id == 0;
  Writer writer(out);
  writer.number(static_cast<uint32_t>(entry.key().text.size()));
  writer.text(entry.key().text);
  writer.number(static_cast<uint16_t>(entry.status()));
  writer.number(entry.spec().flags);
  writer.number(length);
  write_note(note, writer);
  write_times(entry.times(), writer);
  write_vary(entry.vary(), writer);
  write_tags(entry.tags(), writer);
  writer.number(static_cast<uint32_t>(entry.head().raw.size()));
  writer.text(entry.head().raw);
  if (is_inline && length > 0) write_body(entry.parts()[0].body, 0, length, writer);
  writer.finish(is_inline ? Kind::whole : Kind::index);
  return true;
}

void encode_chunk(const Ref<Body>& body, uint64_t body_id, uint64_t index, std::string& out) {
  const uint64_t length = body->size();
  SL_CHECK(body->is_complete() && index < chunk_count(length));
  Writer writer(out);
  writer.number(body_id);
  writer.number(index);
  write_body(body, index * kBodyChunk, chunk_size(index, length), writer);
  writer.finish(Kind::chunk);
}

DecodedEntry decode_entry(std::string_view record, const Key& key, Arena& arena) {
  DecodedEntry entry;
  entry.verdict = check_header(record);
  if (entry.verdict != Decoded::good) return entry;
  entry.verdict = Decoded::broken;
  const Kind kind = kind_of(record);
  if (kind != Kind::whole && kind != Kind::index) return entry;
  Reader in(record.substr(kRecordHeader));
  if (!read_entry(in, key, arena, entry)) return entry;
  const uint64_t length = *entry.spec.complete_length;
  if (entry.is_inline()) entry.body = in.text(length);
  const bool is_right =
      entry.is_inline() == (kind == Kind::whole) && is_right_kind(entry.is_inline(), length);
  if (is_right && in.is_at_end()) entry.verdict = Decoded::good;
  return entry;
}

std::optional<std::string_view> decode_chunk(std::string_view record, uint64_t body_id,
                                             uint64_t index, uint64_t length) noexcept {
  if (check_header(record) != Decoded::good || kind_of(record) != Kind::chunk) return std::nullopt;
  Reader in(record.substr(kRecordHeader));
  const bool is_that = in.number<uint64_t>() == body_id && in.number<uint64_t>() == index;
  if (!is_that || index >= chunk_count(length)) return std::nullopt;
  const std::string_view bytes = in.text(chunk_size(index, length));
  if (!in.is_at_end()) return std::nullopt;
  return bytes;
}

uint64_t record_checksum(std::string_view record) noexcept {
  SL_CHECK(record.size() >= kRecordHeader);
  return hash64(record.substr(kRecordHeader), hash64(record.substr(0, kChecksumAt)));
}

}  // namespace sluice::cache
