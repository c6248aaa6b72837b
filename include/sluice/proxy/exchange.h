// The spine: one request and its response, from the parsed head to the access log line.
//
// Steps run in the order in which they stand in exchange.cc; run() drives them. Everything that
// happens elsewhere (bytes, ends, connections, deadlines) is a fact that a stream keeps; the events
// here only call run(), which looks at the facts and goes on as far as it can.
//
// Owner: itself, from create() until step_finish, after which it buries itself. Thread: its
// worker's. Lifetime of what it uses:
//   Site         counted in by create(), out by the destructor; outlives the exchange
//   ClientStream the connection's, until end() or abort() was called on it
//   Claim        from step_pick to settle_try: in-flight count of the endpoint
//   Upstream     from step_acquire to release() or abandon()
//   Arena        head bytes, fields, local texts: until destruction
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "sluice/base/arena.h"
#include "sluice/base/clock.h"
#include "sluice/base/error.h"
#include "sluice/base/ref.h"
#include "sluice/cache/flight.h"
#include "sluice/cache/store_memory.h"
#include "sluice/http/message.h"
#include "sluice/loop/loop.h"
#include "sluice/loop/timer.h"
#include "sluice/proxy/client_stream.h"
#include "sluice/proxy/exchange_step.h"
#include "sluice/proxy/replay_body.h"
#include "sluice/proxy/site.h"
#include "sluice/upstream/connection_pool.h"
#include "sluice/upstream/pool.h"
#include "sluice/upstream/upstream_stream.h"

namespace sluice::cache {
struct StorePlan;
}

namespace sluice::proxy {

struct LocalReply;
struct TryFacts;  // fetch.h
class LocalCall;  // local_call.h

class Exchange final : public ClientListener,
                       public upstream::UpstreamListener,
                       public upstream::AcquireListener,
                       public upstream::Waiter,
                       public loop::Buried {
 public:
  // The client must call exactly one of begin() and refuse() after it.
  static Exchange* create(Site& site, ClientStream& client);

  Arena& arena() noexcept { return arena_; }
  // A head was parsed into arena(). May end the exchange before it returns.
  void begin(const http::RequestHead& head) noexcept;
  // The request is not acceptable: answers with the error and ends. `head` is for the log and the
  // reply's form; nullptr when it could not be parsed.
  void refuse(Error error, const http::RequestHead* head) noexcept;
  // For the cache: `client` is a Fetch, whose order has gone through routing and look-up.
  struct FetchBegin {
    const http::RequestHead& head;
    const SiteRoute& route;
    std::string_view target, request_id, traceparent;
  };
  void begin_fetch(const FetchBegin& begin) noexcept;
  TryFacts facts() const noexcept;
  Error error() const noexcept { return error_; }

  // The worker is asked to close at once (drain deadline passed).
  void cancel(Errc why) noexcept;

  // Facts have changed (see the two streams).
  void on_client_progress() noexcept override { run(); }
  void on_upstream_progress() noexcept override { run(); }
  void on_acquired(upstream::UpstreamStream* stream) noexcept override;
  void on_acquire_failed(Error error) noexcept override;
  void on_place_free() noexcept override;

  void dispose() noexcept override;
  ~Exchange() override;

 private:
  friend class LocalCall;
  enum class Turn : uint8_t { go_on, wait };

  Exchange(Site& site, ClientStream& client) noexcept;

  void run() noexcept;
  Turn step() noexcept;
  void go(Step next) noexcept;
  Turn fail(Error error) noexcept;

  Turn step_route() noexcept;
  Turn step_handle() noexcept;
  Turn step_purge() noexcept;
  Turn step_admit() noexcept;
  Turn step_lookup() noexcept;
  Turn step_follow() noexcept;
  Turn step_serve() noexcept;
  Turn step_pick() noexcept;
  Turn step_queue() noexcept;
  Turn step_acquire() noexcept;
  Turn step_connect() noexcept;
  Turn step_send() noexcept;
  Turn step_await() noexcept;
  Turn step_judge() noexcept;
  Turn step_respond() noexcept;
  Turn step_relay() noexcept;
  Turn step_reply() noexcept;
  Turn step_flush() noexcept;
  Turn step_abort() noexcept;
  Turn step_finish() noexcept;

  bool choose_route() noexcept;
  bool takes_purge() noexcept;
  Turn purge_target(cache::PurgeKind kind) noexcept;
  Turn purge_tags(const std::vector<std::string_view>& tags, cache::PurgeKind kind) noexcept;
  Turn answer_max_forwards() noexcept;
  http::RequestForwarding forwarding() noexcept;
  void choose_id() noexcept;
  std::string_view traceparent() noexcept;
  uint64_t hash_key() const noexcept;
  std::string_view cookie(std::string_view name) const noexcept;
  std::string_view sticky_line() noexcept;
  void forward_request_body() noexcept;
  void forward_interim() noexcept;
  void watch_upstream() noexcept;
  bool wants_retry_for(int status) const noexcept;
  void settle_try(bool failed) noexcept;
  void drop_upstream(CloseReason reason) noexcept;
  void drop_connection(CloseReason reason) noexcept;
  void gather_request();
  void ask_for_body() noexcept;
  Turn answer_call() noexcept;
  void send_call_head() noexcept;
  void send_own_head(const http::ResponseHead& head, std::string_view extra_lines,
                     bool keep_alive) noexcept;
  void send_local(LocalReply&& reply) noexcept;
  void end_wait() noexcept;
  void on_deadline() noexcept;
  struct CacheUse;
  CacheUse* begin_cache_use() noexcept;
  void end_cache_use() noexcept;
  Turn serve_from(const cache::Variants& found, cache::Entry& entry) noexcept;
  Turn serve(Ref<cache::Entry> entry, std::string_view detail) noexcept;
  Turn miss(const cache::Variants& found, cache::Entry* matching) noexcept;
  Turn start_fetch(const cache::Variants& found, cache::Entry* matching,
                   Ref<cache::Flight> flight) noexcept;
  void refresh(const cache::Variants& found, cache::Entry& entry) noexcept;
  Turn follow_fetch() noexcept;
  Turn follow_flight() noexcept;
  cache::Flights::Joined join_flight() noexcept;
  bool may_look_shared() const noexcept;
  Turn serve_found(const Ref<cache::Entry>& entry) noexcept;
  void drop_fetch() noexcept;
  bool serve_stale(int status, Error error) noexcept;
  bool had_to_validate() const noexcept;
  void note_head(const http::ResponseHead& response) noexcept;
  uint64_t invalidate_for(const http::ResponseHead& response) noexcept;
  bool may_be_stored(const cache::KeyUrl& url) noexcept;
  void note_response(const http::ResponseHead& response) noexcept;
  void begin_keeping(const cache::StorePlan& plan, const http::Framing& framing,
                     uint64_t started) noexcept;
  void keep(const Chain& bytes) noexcept;
  void end_keeping() noexcept;
  std::string_view cache_lines() noexcept;
  std::string_view response_lines() noexcept;
  void account(const ClientInfo& client) noexcept;
  static void print_crash(int fd, const void* exchange) noexcept;

  Site& site_;
  ClientStream* client_;           // nullptr once it was told end() or abort()
  const ClientInfo& client_info_;  // of the connection, which outlives the exchange's last step
  Arena arena_;
  loop::Timer timer_;  // queue and connect waits only; streams have deadlines of their own
  Step step_ = Step::kBorn;
  bool is_running_ = false;

  http::RequestHead head_;
  bool has_head_ = false;
  std::string_view path_;    // normalised, for routes
  std::string_view target_;  // as it goes to the endpoint
  std::string_view request_id_;
  std::string_view traceparent_;  // of ours; made when it is wanted
  bool has_own_id_ = false;       // request_id_ is made here
  int max_forwards_ = -1;
  const SiteRoute* route_ = nullptr;
  std::shared_ptr<LocalCall> call_;  // a handler's
  CacheUse* cache_ = nullptr;        // on a route with a cache; in the arena
  bool is_fetch_ = false;            // the client is a Fetch
  std::string_view cache_word_;      // for the log

  // The try under way.
  upstream::Endpoint* endpoint_ = nullptr;  // claimed
  upstream::UpstreamStream* upstream_ = nullptr;
  std::unique_ptr<upstream::Acquire> acquire_;
  Error try_error_;
  std::array<upstream::Endpoint*, 16> tried_;  // the first tried_count_ of them
  uint32_t tried_count_ = 0;
  uint32_t attempts_ = 0;
  std::string_view last_endpoint_;  // for log and Proxy-Status after the claim ended
  uint16_t last_endpoint_id_ = 0;
  bool must_connect_ = false;  // the uncounted resend: not on an idle connection
  bool race_resent_ = false;
  bool set_sticky_ = false;
  ReplayBody replay_;

  enum class Sending : uint8_t { body, done } sending_ = Sending::body;
  bool interim_sent_ = false;
  bool response_begun_ = false;  // the final head was given to the client
  Error error_;                  // what ended it badly
  int status_ = 0;
  uint64_t bytes_in_ = 0, bytes_out_ = 0;
  TimePoint begin_{}, try_begin_{}, wait_begin_{}, request_sent_{};
  Duration queue_time_{0}, connect_time_{0}, first_byte_time_{0};
};

}  // namespace sluice::proxy
