#include "shared_put.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "shared_link.h"
#include "sluice/cache/entry_codec.h"

namespace sluice::cache {
namespace {

using stats::Counter;

constexpr size_t kMostQueued = 1024;
constexpr size_t kMostRunning = 16;
constexpr size_t kMostAtOnce = 2 * kBodyChunk;
constexpr Duration kWriteTime = std::chrono::seconds(1);
constexpr Duration kShortestLife = std::chrono::seconds(1);
constexpr Duration kLongestKeep = std::chrono::hours(24 * 365);
// With Vary every look-up brings all variants: their bodies stand elsewhere unless they are small.
constexpr size_t kInlineVaried = 4 * 1024;

// Puts a record in, among at most `most` (ARGV[4]), for at least ARGV[3] ms, and answers how many
// there are. KEYS from the second: chunks of its body that should be there already; if one is not
// it answers 0 and has put nothing in. Chunks of a record that goes are deleted, unless another
// variant has the same body (RFC 9111 section 4.1: a 304 may select it for more requests). The
// record names them: an index of version 2 at fixed places behind the text of its key
// (entry_codec.h), all else none. What holds far more records was written by somebody else.
constexpr const char* kPutScript = R"(
local key, field, ttl, most = KEYS[1], ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4])
local function number(text, at, size)
  local value = 0
  for i = at + size - 1, at, -1 do value = value * 256 + text:byte(i) end
  return value
end
local function chunks_of(record)
  if not record or #record < 48 or record:sub(1, 8) ~= 'SLCR\2\0\2\0' then return '', 0 end
  local at = 33 + number(record, 25, 4)
  if #record < at + 15 then return '', 0 end
  local id = ''
  for i = at + 15, at + 8, -1 do id = id .. string.format('%02x', record:byte(i)) end
  return id, math.ceil(number(record, at, 8) / tonumber(ARGV[5]))
end
local function forget_chunks(id, count)
  if count == 0 or count > tonumber(ARGV[6]) then return end
  for _, record in ipairs(redis.call('HVALS', key)) do
    if chunks_of(record) == id then return end
  end
  for i = 0, count - 1 do redis.call('UNLINK', key .. ':b:' .. id .. ':' .. i) end
end
for i = 2, #KEYS do
  local left = redis.call('PTTL', KEYS[i])
  if left == -2 then return 0 end
  if left < ttl then redis.call('PEXPIRE', KEYS[i], ttl) end
end
if redis.call('HLEN', key) > 4 * most then redis.call('DEL', key) end
local id, chunks = chunks_of(redis.call('HGET', key, field))
redis.call('HSET', key, field, ARGV[2])
forget_chunks(id, chunks)
local left = redis.call('PTTL', key)
if left < ttl then redis.call('PEXPIRE', key, ttl) end
local count = redis.call('HLEN', key)
if count > most then
  for _, other in ipairs(redis.call('HKEYS', key)) do
    if other ~= field then
      id, chunks = chunks_of(redis.call('HGET', key, other))
      redis.call('HDEL', key, other)
      forget_chunks(id, chunks)
      count = count - 1
      if count <= most then break end
    end
  end
end
return count)";

// One field a variant: by a hash of its request fields, in which no two different ones look alike.
std::string field_of(std::span<const VaryField> vary) {
  if (vary.empty()) return "-";
  std::string text;
  for (const VaryField& field : vary) {
    text += fmt::format("{}:{}{}{}:{}", field.name.size(), field.name, field.is_present ? '+' : '-',
                        field.value.size(), field.value);
  }
  return fmt::format("{:016x}", hash64(text));
}

size_t size_of(std::span<const VaryField> vary) noexcept {
  size_t size = 0;
  for (const VaryField& field : vary) size += field.name.size() + field.value.size();
  return size;
}

// Bytes that go out as they are.
class Text final : public SharedBytes {
 public:
  static Slice slice_of(std::string text) {
    const auto owner = Ref<Text>::adopt(new Text(std::move(text)));
    return Slice::of_shared(owner.get(), owner->text_.data(), owner->text_.size());
  }

 private:
  explicit Text(std::string text) noexcept : text_(std::move(text)) {}
  const std::string text_;
};

}  // namespace

// One entry on its way
// -----------------------------------------------------------------------------

class SharedWriter::Job final : public ListNode<Job>, public loop::Buried {
 public:
  Job(SharedWriter& writer, Ref<Entry> entry, const SharedStamp& stamp, Duration keep)
      : name(writer.link_.name_of(entry->key().hash)),
        field(field_of(entry->vary())),
        length(*entry->complete_length()),
        writer_(writer),
        entry_(std::move(entry)),
        note_{stamp, keep} {}

  // Sends its first command. False: it is not worth writing any more.
  bool begin() {
    const bool is_inline = length <= (entry_->vary().empty() ? kInlineBody : kInlineVaried);
    if (is_inline) return send_next();
    note_.body_id = body().shared_id();
    are_chunks_there_ = note_.body_id != 0;
    return are_chunks_there_ ? send_next() : write_anew();
  }
  // It ends here; the Job itself goes when nothing of it is on the stack.
  void let_go() noexcept {
    chunk_write_.cancel();
    record_write_.cancel();
    entry_ = nullptr;
    writer_.link_.loop().bury(this);
  }
  size_t cost_at_once() const noexcept { return std::min<size_t>(length, kBodyChunk); }

  const std::string name, field;
  const uint64_t length;
  std::string lease;  // the token of one to give back at its end

 private:
  class ChunkWrite final : public redis::Call {
   public:
    explicit ChunkWrite(Job& job) noexcept : job_(job) {}

   private:
    void on_reply(const redis::Reply&) noexcept override { job_.on_chunk(); }
    void on_failed(redis::Fault, std::string_view) noexcept override { job_.on_failed(); }
    Job& job_;
  };
  class RecordWrite final : public redis::ScriptRun {
   public:
    explicit RecordWrite(Job& job) noexcept : job_(job) {}

   private:
    void on_script_reply(const redis::Reply& reply) noexcept override { job_.on_record(reply); }
    void on_script_failed(redis::Fault, std::string_view) noexcept override { job_.on_failed(); }
    Job& job_;
  };

  Body& body() const noexcept { return *entry_->parts()[0].body; }
  bool write_anew() {
    are_chunks_there_ = false;
    note_.body_id = writer_.link_.random() | 1;
    return send_next();
  }
  bool send_next() {
    const std::optional<std::string> ttl = time_to_live();
    if (!ttl || !is_good()) return false;
    const bool has_chunk = note_.body_id != 0 && !are_chunks_there_ && chunk_ < chunk_count(length);
    return has_chunk ? send_chunk(*ttl) : send_record(*ttl);
  }
  bool send_chunk(const std::string& ttl) {
    const std::string key = chunk_name(name, note_.body_id, chunk_);
    std::string record;
    encode_chunk(entry_->parts()[0].body, note_.body_id, chunk_, record);
    Chain bytes;
    bytes.push_back(Text::slice_of(std::move(record)));
    writer_.link_.client().command({"SET", key, bytes, "PX", ttl}, redis::Intent::kWrite,
                                   deadline(), chunk_write_);
    return true;
  }
  bool send_record(const std::string& ttl) {
    std::string record;
    if (!encode_entry(*entry_, note_, record)) return false;
    if (!entry_->vary().empty() && record.size() > kLongestVariedRecord) return false;
    std::vector<std::string> chunks;
    for (size_t i = 0; are_chunks_there_ && i < chunk_count(length); ++i) {
      chunks.push_back(chunk_name(name, note_.body_id, i));
    }
    std::vector<std::string_view> keys{name};
    keys.insert(keys.end(), chunks.begin(), chunks.end());
    const std::string most = std::to_string(kMostVariants), size = std::to_string(kBodyChunk),
                      most_chunks = std::to_string(chunk_count(kLongestSharedBody));
    const std::string_view values[] = {field, record, ttl, most, size, most_chunks};
    record_write_.run(writer_.script_, keys, values, deadline());
    return true;
  }

  void on_chunk() noexcept {
    ++chunk_;
    if (chunk_ == chunk_count(length)) body().set_shared_id(note_.body_id);
    if (!send_next()) writer_.end(*this, std::nullopt);
  }
  void on_record(const redis::Reply& reply) noexcept {
    const bool is_in = !are_chunks_there_ || reply.integer() > 0;
    if (is_in) return writer_.end(*this, Counter::cache_redis_writes);
    if (!write_anew()) writer_.end(*this, std::nullopt);
  }
  void on_failed() noexcept { writer_.end(*this, Counter::cache_redis_skips_failed); }

  TimePoint deadline() const noexcept { return writer_.link_.loop().now() + kWriteTime; }
  std::optional<std::string> time_to_live() const {
    const Duration left = life_left(entry_->times(), note_.keep, wall_now());
    if (left <= Duration{0}) return std::nullopt;
    return std::to_string(
        std::chrono::ceil<std::chrono::milliseconds>(std::max(left, kShortestLife)).count());
  }
  // Nobody has purged it since it was asked for.
  bool is_good() const noexcept {
    const Purges& purges = writer_.link_.cache().store.purges();
    return !entry_->is_marked_stale() &&
           purges.standing_of_fill(entry_->started(), entry_->tags(), entry_->key().url) ==
               Standing::good;
  }

  SharedWriter& writer_;
  Ref<Entry> entry_;
  RecordNote note_;
  bool are_chunks_there_ = false;  // as far as we know: the record goes alone
  uint64_t chunk_ = 0;             // the next one
  ChunkWrite chunk_write_{*this};
  RecordWrite record_write_{*this};
};

// The queue
// ----------------------------------------------------------------------------------------

SharedWriter::SharedWriter(SharedLink& link) : link_(link), script_(link.client(), kPutScript) {}

SharedWriter::~SharedWriter() { stop(); }

void SharedWriter::put(Ref<Entry> entry, const SharedStamp& stamp, Duration keep) {
  keep = std::clamp(keep, Duration{0}, kLongestKeep);
  const bool is_worth_it = entry->is_whole() && stamp.is_known() && !entry->is_marked_stale() &&
                           size_of(entry->vary()) <= kLongestSharedVary &&
                           life_left(entry->times(), keep, wall_now()) > Duration{0};
  if (!is_worth_it) return;
  if (!link_.is_up()) return link_.counters().add(Counter::cache_redis_skips_away);
  const uint64_t length = *entry->complete_length();
  if (!link_.pace().is_in_time(length, link_.settings().timeout, monotonic_now())) {
    return link_.counters().add(Counter::cache_redis_skips_slow);
  }
  if (count_ == kMostQueued || length > kLongestSharedBody - bytes_) {
    return link_.counters().add(Counter::cache_redis_skips_full);
  }
  auto* job = new Job(*this, std::move(entry), stamp, keep);  // NOLINT: it is buried
  ++count_;
  bytes_ += length;
  waiting_.push_back(*job);
  start_some();
}

// The connection keeps the order: what was sent of it already is there before it is deleted. Should
// another variant have the same body, it is as if Redis had evicted that.
void SharedWriter::remove(const Entry& entry) {
  const std::string name = link_.name_of(entry.key().hash), field = field_of(entry.vary());
  drop_if([&](const Job& job) { return job.name == name && job.field == field; });
  link_.run_errand({"HDEL", name, field});
  const uint64_t id = entry.is_whole() ? entry.parts()[0].body->shared_id() : 0;
  for (size_t i = 0; id != 0 && i < chunk_count(*entry.complete_length()); ++i) {
    link_.run_errand({"UNLINK", chunk_name(name, id, i)});
  }
  start_some();
}

void SharedWriter::remove_all(std::string_view name) {
  drop_if([&](const Job& job) { return job.name == name; });
  link_.run_errand({"UNLINK", name});
  start_some();
}

template <typename F>
void SharedWriter::drop_if(F&& is_meant) noexcept {
  for (Job *job = running_.front(), *next = nullptr; job != nullptr; job = next) {
    next = running_.next(*job);
    if (is_meant(*job)) take_out(*job);
  }
  for (Job *job = waiting_.front(), *next = nullptr; job != nullptr; job = next) {
    next = waiting_.next(*job);
    if (is_meant(*job)) drop(*job);
  }
}

void SharedWriter::release(std::string_view name, std::string_view token) {
  Job* last = nullptr;
  for (List<Job>* list : {&running_, &waiting_}) {
    for (Job* job = list->front(); job != nullptr; job = list->next(*job)) {
      if (job->name == name) last = job;
    }
  }
  if (last == nullptr || !last->lease.empty()) return link_.drop_lease(name, token);
  last->lease = token;
}

void SharedWriter::stop() noexcept {
  for (List<Job>* list : {&running_, &waiting_}) {
    while (Job* job = list->pop_front()) job->let_go();
  }
  count_ = bytes_ = at_once_ = 0;
}

// In their order; one key's never side by side.
void SharedWriter::start_some() {
  while (Job* job = waiting_.front()) {
    if (!may_start(*job)) return;
    job->ListNode<Job>::unlink();
    running_.push_back(*job);
    at_once_ += job->cost_at_once();
    if (!job->begin()) take_out(*job);
  }
}

bool SharedWriter::may_start(const Job& job) noexcept {
  if (running_.is_empty()) return true;
  size_t count = 0;
  for (Job* other = running_.front(); other != nullptr; other = running_.next(*other)) {
    if (++count == kMostRunning || other->name == job.name) return false;
  }
  return at_once_ + job.cost_at_once() <= kMostAtOnce;
}

void SharedWriter::end(Job& job, std::optional<Counter> how) noexcept {
  if (how) link_.counters().add(*how);
  take_out(job);
  link_.look_at_health();
  start_some();
}

// Of those that run; perhaps inside a call back of its own.
void SharedWriter::take_out(Job& job) noexcept {
  at_once_ -= job.cost_at_once();
  drop(job);
}

void SharedWriter::drop(Job& job) noexcept {
  if (!job.lease.empty()) link_.drop_lease(job.name, job.lease);
  job.ListNode<Job>::unlink();
  --count_;
  bytes_ -= job.length;
  job.let_go();
}

}  // namespace sluice::cache
