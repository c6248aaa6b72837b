#include "shared_read.h"

#include <algorithm>

#include "sluice/base/strings.h"
#include "sluice/cache/vary.h"

namespace sluice::cache {
namespace {

// Fields of one hash that are looked at: we keep half as many.
constexpr size_t kMostFields = 2 * kMostVariants;
constexpr Duration kFarthestAhead = std::chrono::hours(24);

uint64_t number_in(const redis::Reply& reply) noexcept {
  return parse_decimal(reply.text()).value_or(0);
}

// A record that decodes.
struct Candidate {
  DecodedEntry entry;
  std::string_view field;  // in the reply, as is the next
  const Slice* bytes = nullptr;
  Standing standing = Standing::good;
};

class Candidates {
 public:
  Candidates(const SharedQuestion& question, size_t most, Arena& arena) noexcept
      : question_(question),
        arena_(arena),
        found_(arena.allocate_array<Candidate>(most)),
        broken_(arena.allocate_array<std::string_view>(most)) {}

  void look_at(std::string_view field, const redis::Reply& value) {
    Candidate& candidate = *new (&found_[count_]) Candidate;
    candidate.field = field;
    candidate.bytes = &value.bytes();
    candidate.entry = decode_entry(value.text(), question_.key, arena_);
    switch (candidate.entry.verdict) {
      case Decoded::broken:
        broken_[broken_count_++] = field;
        return;
      case Decoded::other_version:  // it serves another host well
      case Decoded::other_key:
        return;
      case Decoded::good:
        if (is_of_use(candidate)) ++count_;
        return;
    }
  }
  SharedRecord choose();

 private:
  bool is_of_use(Candidate& candidate) noexcept {
    EntrySpec& spec = candidate.entry.spec;
    const RecordNote& note = candidate.entry.note;
    if (!bring_back(spec.times, question_.now)) return false;
    if (life_left(spec.times, note.keep, question_.now) <= Duration{0}) return false;
    candidate.standing = question_.judge.standing(note.stamp, spec.tags, spec.key.url);
    if (candidate.standing == Standing::gone) has_purged_ = true;
    return candidate.standing != Standing::gone;
  }

  const SharedQuestion& question_;
  Arena& arena_;
  Candidate* found_;
  size_t count_ = 0;
  std::string_view* broken_;
  size_t broken_count_ = 0;
  bool has_purged_ = false;
};

SharedRecord Candidates::choose() {
  SharedRecord record;
  record.broken = {broken_, broken_count_};
  const EntrySpec* specs[kMostFields];
  for (size_t i = 0; i < count_; ++i) specs[i] = &found_[i].entry.spec;
  const EntrySpec* chosen = choose_variant({specs, count_}, question_.request, arena_);
  const size_t at = static_cast<size_t>(std::find(specs, specs + count_, chosen) - specs);
  if (at == count_) {
    if (has_purged_) record.why = SharedMiss::purged;
    if (broken_count_ > 0) record.why = SharedMiss::broken;
    return record;
  }
  record.why = SharedMiss::none;
  record.entry = found_[at].entry;
  record.field = arena_.copy(found_[at].field);
  record.bytes = *found_[at].bytes;
  record.is_stale = found_[at].standing == Standing::stale;
  return record;
}

}  // namespace

// The clock of who wrote it may be ahead of ours: then it came just now at the latest, and its age
// counts from here (RFC 9111 section 4.2.3), instead of standing still until ours is there. Date is
// the endpoint's clock, and stays, to be compared with that of other responses of the endpoint; but
// where it is the time of reception (RFC 9110 section 6.6.1) it goes along. False: that is no
// clock.
bool bring_back(EntryTimes& times, WallTime now) noexcept {
  const auto ahead = times.response - now;
  if (ahead > kFarthestAhead) return false;
  if (ahead <= Duration{0}) return true;
  if (times.date == times.response) times.date = now;
  times.request = std::max(times.request - ahead, WallTime{});
  times.response = now;
  return true;
}

SharedStamp read_state(const redis::Reply& reply) noexcept {
  const redis::Reply epoch = reply.at(0), purges = reply.at(1);
  if (purges.is_nil()) return {};
  const std::optional<uint64_t> number = parse_decimal(purges.text());
  return number ? SharedStamp{number_in(epoch), *number} : SharedStamp{};
}

// No purge slips through between the two tiers. The order of reading is: the memory's number, then
// unsent_since, then the log of the server, then (while something is unsent) the memory's purges.
// What `started_` does not count the memory tier finds by itself when the entry is put there. So
// let a purge be counted in `started_`.
// One of our own: the hub sets unsent_since before it purges memory, thus before our first reading.
// Either it is still set at our second, and the memory's purges since then are asked, which have
// it; or the hub has cleared it before, and it does that after the log has the purge, which we
// read later. (Were the log read first, both could happen between the two, and neither would tell.)
// One of another host: the hub puts it into the log before it purges memory; we read the log later.
SharedJudge::SharedJudge(const Purges& purges, const SharedServer& server,
                         const SharedStamp& state) noexcept
    : purges_(purges),
      server_(server),
      state_(state),
      started_(purges.last()),
      unsent_since_(server.unsent_since.load(std::memory_order_acquire)) {}

Standing SharedJudge::standing(const SharedStamp& stamp, std::span<const EntryTag> tags,
                               std::string_view url) const noexcept {
  const Standing by_server = server_.log.standing(stamp, state_, tags, url);
  if (unsent_since_ == SharedServer::kNone || by_server == Standing::gone) return by_server;
  return std::max(by_server, purges_.standing_of_fill(unsent_since_, tags, url));
}

SharedRecord choose_record(const redis::Reply& reply, const SharedQuestion& question,
                           Arena& arena) {
  const size_t count = std::min(reply.size() / 2, kMostFields);
  Candidates candidates(question, count, arena);
  auto at = reply.begin();
  for (size_t i = 0; i < count; ++i, ++at) {
    const std::string_view field = (*at).text();
    candidates.look_at(field, *++at);
  }
  return candidates.choose();
}

}  // namespace sluice::cache
