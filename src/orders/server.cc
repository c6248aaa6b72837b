#include "sluice/orders/server.h"

#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "sluice/downstream/listener.h"
#include "sluice/loop/acceptor.h"
#include "sluice/loop/loop.h"
#include "sluice/loop/signals.h"
#include "sluice/loop/timer.h"
#include "sluice/orders/gate/stock_gate.h"
#include "sluice/orders/open_queue.h"
#include "sluice/orders/open_store.h"
#include "sluice/orders/order_api.h"
#include "sluice/orders/page/event_feed.h"
#include "sluice/orders/purge/purger.h"
#include "sluice/orders/relay.h"
#include "sluice/orders/version.h"
#include "sluice/proxy/site.h"
#include "sluice/stats/collect.h"
#include "sluice/stats/name_table.h"

namespace sluice::orders {
namespace {

// Of the end of the process with caches elsewhere, which expire by themselves.
constexpr Duration kPurgePatience = std::chrono::seconds(1);

// A connection is a descriptor, and the usual soft limit is 1024.
void allow_many_descriptors() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

// ", purges http://10.0.0.2:9901"
std::string purge_note(const std::vector<PurgeTarget>& targets) {
  std::string note;
  for (const PurgeTarget& target : targets)
    note += (note.empty() ? ", purges " : " ") + target.text();
  return note;
}

}  // namespace

// In the order in which they need each other; destroyed the other way round.
struct Server::State {
  explicit State(ServeOptions given)
      : options(std::move(given)),
        connections(loop, stats.counters),
        kit{0, loop, stats.counters, stats.requests, connections} {}
  ~State();

  std::string open_socket();
  void open_relay();
  void open_feed(const std::string& name);
  void open_purger();
  void open_listener();
  void on_signal();
  void on_drained();
  void stop_relay();
  void on_drain_timeout() noexcept;
  void stop();
  void close_socket();

  ServeOptions options;
  std::string address;
  int fd = -1;
  loop::Loop loop;
  stats::Collect collect;
  stats::Block& stats = collect.add_block();
  stats::NameTable names;
  upstream::ConnectionPool connections;  // none is ever made; an exchange could
  proxy::WorkerKit kit;
  std::unique_ptr<ShopStore> store;
  std::unique_ptr<EventPublisher> publisher;
  std::optional<Relay> relay;
  std::optional<EventFeed> feed;
  std::optional<Purger> purger;
  std::optional<OrderApi> api;
  std::optional<proxy::Site> site;
  std::optional<downstream::Listener> listener;
  std::optional<loop::Signals> signals;
  loop::Timer drain_timer = loop::Timer::make<&State::on_drain_timeout>(loop, this);
};

Server::Server(ServeOptions options) : state_(std::make_unique<State>(std::move(options))) {}
Server::~Server() = default;

std::string Server::start() {
  State& state = *state_;
  allow_many_descriptors();
  // The socket first: a second process on the same address shall not touch the database.
  if (std::string problem = state.open_socket(); !problem.empty()) return problem;
  const ServeOptions& options = state.options;
  OpenedStore opened = open_store(state.loop, options.database, options.seed);
  if (opened.store == nullptr) return opened.problem;
  state.store = std::move(opened.store);
  const std::string name = options.name.empty() ? state.address : options.name;
  if (!options.gate.url.empty()) {
    state.store = make_gated_store(state.loop, std::move(state.store), options.gate, name);
  }
  state.api.emplace(state.loop, *state.store,
                    ApiOptions{name, options.allow_restock, options.delay, options.fail_rate,
                               options.is_async, options.user_limit, options.rate_limit});
  state.open_relay();
  state.open_feed(name);
  state.open_purger();
  state.open_listener();
  state.signals.emplace(state.loop, std::initializer_list<int>{SIGTERM, SIGINT},
                        [&state](int) { state.on_signal(); });
  fmt::print("sluice-orders {}: {} listens on {}, database {}{}{}, queue {}{}\n", kVersion, name,
             state.address, state.store->text(), opened.note(), stock_text(options.gate.url),
             state.publisher == nullptr ? options.queue : state.publisher->text(),
             purge_note(options.purge));
  if (options.has_seed_file && !opened.is_new) {
    fmt::print("sluice-orders: the database was there already, --seed changes nothing\n");
  }
  std::fflush(stdout);
  return {};
}

const std::string& Server::address() const noexcept { return state_->address; }

void Server::run() {
  State& state = *state_;
  state.loop.set_resident(true);
  state.loop.run();
}

std::string Server::State::open_socket() {
  const SocketAddress& wanted = options.listen;
  auto opened = loop::open_listener(wanted, {});
  if (!opened) {
    const Error error = opened.error();
    const char* why = error.sys() != 0 ? std::strerror(error.sys()) : error.text();
    return fmt::format("cannot listen on {}: {}{}", wanted.to_string(), why,
                       error.sys() == EADDRINUSE ? "; another program listens there" : "");
  }
  fd = *opened;
  address = loop::local_address(fd).to_string();
  return {};
}

void Server::State::open_relay() {
  publisher = make_publisher(loop, options.queue);
  if (publisher == nullptr) return;  // workers take from the outbox
  relay.emplace(loop, *store, *publisher);
  api->on_accepted([this] { relay->poke(); });
  relay->start();
}

void Server::State::open_feed(const std::string& name) {
  FeedOptions how;
  how.name = name;
  feed.emplace(loop, *store, std::move(how));
  api->set_feed(*feed);
  api->add_metrics([this](stats::PrometheusWriter& out) { feed->write_metrics(out); });
}

void Server::State::open_purger() {
  if (options.purge.empty()) return;
  purger.emplace(loop, options.purge);
  api->on_stock([this](const auto& product_ids) { purger->purge(product_ids); });
  api->add_metrics([this](stats::PrometheusWriter& out) { purger->write_metrics(out); });
}

void Server::State::open_listener() {
  config::Listener listens;
  listens.name = "orders";
  site.emplace(kit, *api, names);
  auto shared =
      std::make_shared<downstream::ListenerShared>(listens.name, names.intern(listens.name));
  listener.emplace(kit, *site, std::move(listens), std::move(shared), fd);
}

void Server::State::on_signal() {
  if (kit.draining) return stop();
  kit.draining = true;
  api->set_draining();
  feed->close();
  // First: the listener takes all that wait on its own descriptor, then nobody can come any more.
  close_socket();
  drain_timer.set_after(options.drain_timeout);
  listener->on_empty([this] { on_drained(); });
  listener->drain();
}

// The last purges and events go out; what of these does not stays in the outbox.
void Server::State::on_drained() {
  if (!purger) return stop_relay();
  purger->stop(kPurgePatience, [this] { stop_relay(); });
}

void Server::State::stop_relay() {
  if (!relay) return loop.stop();
  relay->stop(options.drain_timeout, [this] { loop.stop(); });
}

void Server::State::on_drain_timeout() noexcept { stop(); }

void Server::State::stop() {
  listener->close_all(CloseReason::kShutdown);
  loop.stop();
}

Server::State::~State() {
  if (listener) listener->close_all(CloseReason::kShutdown);
  // Exchanges that were cut bury themselves; they need what is destroyed below.
  while (site && site->active() > 0 && loop.run_once(false)) {
  }
  close_socket();
}

// The file goes while it is still ours: another process may listen there from now on.
void Server::State::close_socket() {
  if (fd < 0) return;
  constexpr size_t kUnix = std::string_view("unix:").size();
  if (options.listen.is_unix()) ::unlink(address.c_str() + kUnix);
  ::close(std::exchange(fd, -1));
}

}  // namespace sluice::orders
