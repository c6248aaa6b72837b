#include "sluice/cache/store_redis.h"

#include <fmt/format.h>

#include <utility>

#include "shared_link.h"

namespace sluice::cache {
namespace {

constexpr Duration kProbePause = std::chrono::milliseconds(100);
constexpr Duration kErrandTime = std::chrono::seconds(1);

// A lease that ran out may be another's by now.
constexpr std::string_view kDropLease =
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0";

redis::ClientOptions options_for(const redis::Address& address) {
  redis::ClientOptions options;
  options.link.address = address;
  return options;
}

}  // namespace

std::string_view to_string(SharedMiss why) noexcept {
  switch (why) {
    case SharedMiss::none:
      return "none";
    case SharedMiss::absent:
      return "absent";
    case SharedMiss::purged:
      return "purged";
    case SharedMiss::broken:
      return "broken";
    case SharedMiss::late:
      return "late";
    case SharedMiss::away:
      return "away";
    case SharedMiss::no_room:
      return "no_room";
  }
  return "?";
}

// The store
// ----------------------------------------------------------------------------------------

SharedStore::SharedStore(loop::Loop& loop, Cache& cache, std::shared_ptr<SharedTier> tier,
                         stats::Counters& counters)
    : tier_(std::move(tier)) {
  SL_CHECK(tier_->size() > 0);
  for (size_t i = 0; i < tier_->size(); ++i) {
    links_.push_back(std::make_unique<SharedLink>(SharedWorker{loop, cache, counters},
                                                  tier_->settings(), tier_->server(i)));
  }
}

SharedStore::~SharedStore() = default;

void SharedStore::start() {
  for (const auto& link : links_) link->start();
}

void SharedStore::stop() noexcept {
  for (const auto& link : links_) link->stop();
}

const SharedTier& SharedStore::tier() const noexcept { return *tier_; }

SharedLink& SharedStore::link_of(const Key& key) const noexcept {
  return *links_[tier_->place_of(key.hash)];
}

bool SharedStore::is_up(const Key& key) const noexcept { return link_of(key).is_up(); }

void SharedStore::put(Ref<Entry> entry, const SharedStamp& stamp, Duration keep) {
  SharedLink& link = link_of(entry->key());
  link.writer().put(std::move(entry), stamp, keep);
}

bool SharedStore::remove(const Entry& entry) {
  SharedLink& link = link_of(entry.key());
  link.writer().remove(entry);
  return link.is_up();
}

void SharedStore::remove_all(const Key& key) {
  SharedLink& link = link_of(key);
  link.writer().remove_all(link.name_of(key.hash));
}

// A server
// -----------------------------------------------------------------------------------------

SharedLink::SharedLink(const SharedWorker& worker, const SharedSettings& settings,
                       SharedServer& server)
    : worker_(worker),
      settings_(settings),
      server_(server),
      state_name_(settings.prefix + "state"),
      client_(worker.loop, options_for(server.address)),
      writer_(*this),
      probe_(*this),
      timer_(loop::Timer::make<&SharedLink::on_timer>(worker.loop, this)) {
  client_.add(*this);
}

SharedLink::~SharedLink() {
  stop();
  while (LinkUser* user = users_.pop_front()) user->on_link_gone();
}

void SharedLink::start() {
  is_started_ = true;
  client_.start();
  look_at_health();
}

void SharedLink::stop() noexcept {
  if (!std::exchange(is_started_, false)) return;
  set_degraded(false);
  timer_.cancel();
  writer_.stop();
  client_.stop();
  worker_.loop.at_turn_end(*this);
}

// One may go away in there, and others come.
void SharedLink::on_turn_end() noexcept {
  List<LinkUser> waiting;
  waiting.splice_back(users_);
  while (LinkUser* user = waiting.pop_front()) {
    users_.push_back(*user);
    user->on_link_stop();
  }
}

void SharedLink::look_at_health() noexcept {
  if (!is_started_) return;
  set_degraded(!is_up());
  if (is_degraded_ && client_.is_ready() && !timer_.is_set()) timer_.set_after(kProbePause);
}

void SharedLink::on_timer() noexcept {
  if (client_.is_ready() && !is_up() && !probe_.is_pending()) {
    const TimePoint deadline = worker_.loop.now() + settings_.timeout;
    client_.command({"PING"}, redis::Intent::kRead, deadline, probe_);
  }
  look_at_health();
}

void SharedLink::set_degraded(bool is_degraded) noexcept {
  if (std::exchange(is_degraded_, is_degraded) == is_degraded) return;
  if (is_degraded) {
    server_.degraded.fetch_add(1, std::memory_order_relaxed);
  } else {
    server_.degraded.fetch_sub(1, std::memory_order_relaxed);
  }
}

std::string SharedLink::name_of(const Hash128& key) const {
  return fmt::format("{}v1:{{{:016x}{:016x}}}", settings_.prefix, key.high, key.low);
}

std::string chunk_name(std::string_view name, uint64_t body_id, uint64_t index) {
  return fmt::format("{}:b:{:016x}:{}", name, body_id, index);
}
std::string lease_name(std::string_view name) { return fmt::format("{}:l", name); }

// Errands
// ------------------------------------------------------------------------------------------

class SharedLink::Errand final : public LinkUser, public loop::Buried, private redis::Call {
 public:
  Errand(SharedLink& link, redis::Args args) : link_(link) {
    link.add(*this);
    link.client_.command(args, redis::Intent::kWrite, link.loop().now() + kErrandTime, *this);
  }

 private:
  void on_link_stop() noexcept override {}  // its command fails
  void on_link_gone() noexcept override { delete this; }
  void on_reply(const redis::Reply&) noexcept override { end(); }
  void on_failed(redis::Fault, std::string_view) noexcept override { end(); }
  void end() noexcept {
    ListNode<LinkUser>::unlink();
    link_.loop().bury(this);
  }

  SharedLink& link_;
};

void SharedLink::run_errand(redis::Args args) {
  if (client_.is_ready()) new Errand(*this, args);  // NOLINT: it ends by itself
}

void SharedLink::drop_lease(std::string_view name, std::string_view token) {
  const std::string key = lease_name(name);
  run_errand({"EVAL", kDropLease, "1", key, token});
}

}  // namespace sluice::cache
