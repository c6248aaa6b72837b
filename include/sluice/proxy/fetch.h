// A response fetched for the cache: an exchange with an endpoint that has no client of its own.
//
// In between stands this: towards the exchange it is the client; towards the exchange of the client
// who asked (the asker) it is an endpoint's stream. When the head comes it decides: a response that
// is stored goes into an entry, from which the asker and everybody else is served as it grows; any
// other is passed on to the asker as it comes, with backpressure; a 304 to our own conditions
// freshens the stored entry. A range that the asker wanted is passed on and kept as a part of an
// entry; what an entry lacks for an asker who wants all of it is fetched by a range of our own. The
// asker may leave: what is being stored is fetched to its end.
//
// Owner: itself; ends when its exchange has ended and its asker has let go, and then buries itself.
// Thread: the worker's. Both sides are told of progress at the end of the turn, never inside a
// call.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "sluice/base/arena.h"
#include "sluice/cache/cache.h"
#include "sluice/cache/parts.h"
#include "sluice/cache/policy_store.h"
#include "sluice/cache/policy_update.h"
#include "sluice/cache/policy_validate.h"
#include "sluice/cache/store_redis.h"
#include "sluice/http/cache_control.h"
#include "sluice/loop/loop.h"
#include "sluice/proxy/client_stream.h"
#include "sluice/proxy/entry_sender.h"
#include "sluice/proxy/fetch_answer.h"
#include "sluice/proxy/site.h"

namespace sluice::proxy {

class Exchange;

// What a fetch has to do with the tier that hosts share, where there is one.
enum class SharedUse : uint8_t { none, look, only_look };  // only_look: and ask no endpoint

// What is fetched, and for whom. Everything is copied; entries are shared.
struct FetchOrder {
  Site& site;
  const SiteRoute& route;
  const http::RequestHead& request;
  const ClientInfo& client;
  const cache::KeyUrl& url;
  const cache::Key& key;
  std::string_view target;  // as it goes to the endpoint
  std::string_view request_id, traceparent;
  const cache::Variants* stored = nullptr;  // to be validated
  const cache::Entry* matching = nullptr;   // of them: the one that goes with the request
  Ref<cache::Flight> flight = {};           // who waits; none when nobody can
  bool is_for_range = false;                // the asker's Range goes along
  // What `matching` has not of the bytes asked for: then it is not validated, but added to.
  EntrySender::Lack lack = EntrySender::Lack::none;
  SharedUse shared = SharedUse::none;
  const http::RequestDirectives* directives = nullptr;  // what is enough there; none: fresh only
};

// How the try at an endpoint went, for the asker's log line.
struct TryFacts {
  std::string_view endpoint;
  uint16_t endpoint_id = 0;
  uint32_t attempts = 0;
  Duration connect{0}, first_byte{0}, queue{0};
};

class Fetch final : public ClientStream,
                    public Background,
                    public loop::Buried,
                    private FetchAnswer::Owner,
                    private loop::Loop::TurnEnd {
 public:
  enum class Verdict : uint8_t {
    asking,  // no head yet
    found,   // entry() is what the shared tier has, and may be used as it is
    absent,  // the shared tier has nothing, and no endpoint is to be asked
    serve,   // entry() is the answer
    pass,    // answer() brings it
    failed   // error() says why there is none
  };

  // When this returns its exchange has begun, and may even have failed; or it looks first.
  static Fetch* start(const FetchOrder& order);

  Verdict verdict() const noexcept { return verdict_; }
  const Ref<cache::Entry>& entry() const noexcept { return entry_; }
  cache::NoStoreReason why_not_stored() const noexcept { return refused_; }
  bool was_validated() const noexcept { return was_validated_; }        // by a 304
  bool was_completed() const noexcept { return missing_.has_value(); }  // with `serve`: by a 206
  bool is_kept() const noexcept { return place_.has_value(); }  // with `pass`: stored as a part
  // The entry's body broke off for want of room, and answer() brings what comes after it.
  bool is_overflowing() const noexcept { return is_overflowing_; }
  // Lines that the exchange wanted in the head of what is passed.
  std::string_view extra_lines() const noexcept { return answer_.extra_lines(); }
  // What it validates or would have; none when nothing is stored.
  Ref<cache::Entry> matching() const noexcept {
    return matching_ ? stored_.all()[*matching_] : Ref<cache::Entry>();
  }
  bool was_found_stale() const noexcept { return was_found_stale_; }  // in the shared tier
  int endpoint_status() const noexcept { return endpoint_status_; }   // 0: no answer
  Error failure() const noexcept override { return error_; }          // with `failed`
  const TryFacts& facts() const noexcept { return facts_; }
  void cancel() noexcept override;
  // For the asker, who owes it release() or abandon(). Nobody asks: a refresh in the background.
  upstream::UpstreamStream& answer() noexcept { return answer_; }

  // ClientStream, for the exchange.
  const ClientInfo& client() const noexcept override { return info_; }
  Chain& body() noexcept override { return no_body_; }
  bool is_body_complete() const noexcept override { return true; }
  bool is_body_held() const noexcept override { return false; }
  const http::FieldList& trailers() const noexcept override { return no_trailers_; }
  Error error() const noexcept override;
  bool take_error(Error error) noexcept override;
  void pause_body() noexcept override {}
  void resume_body() noexcept override {}
  void send_interim(const http::ResponseHead& head) override;
  void send_head(const http::ResponseHead& head, const http::ResponseForwarding& how) override;
  void send_body(Chain&& bytes) override;
  void send_end(const http::FieldList* trailers) override;
  void flush() noexcept override {
    if (has_news_) tell();
  }
  size_t pending() const noexcept override { return answer_.waiting(); }
  void end() noexcept override;
  void abort(CloseReason reason) noexcept override;

 private:
  // In the shared tier, before an endpoint is asked.
  class Look final : public cache::SharedLook {
   public:
    explicit Look(Fetch& fetch) noexcept : fetch_(fetch) {}

   private:
    bool is_enough(const cache::Entry& entry) noexcept override;
    void on_look_end(const Result& result) noexcept override { fetch_.on_look_end(result); }

    Fetch& fetch_;
  };

  explicit Fetch(const FetchOrder& order);
  ~Fetch() override;

  void begin();
  void prepare(const FetchOrder& order);
  void validate(const cache::Variants& stored, const cache::Entry* matching);
  void on_look_end(const cache::SharedLook::Result& result) noexcept;
  void take_found(const cache::SharedLook::Result& result);
  void write_behind(const Ref<cache::Entry>& entry);
  void forget(const cache::Entry& old);
  void ask();
  void pass(const http::ResponseHead& head, const http::ResponseForwarding& how);
  bool try_store(const http::ResponseHead& head, const http::ResponseForwarding& how);
  bool freshen(const http::ResponseHead& head);
  cache::Update updated(const cache::Entry& old, const http::ResponseHead& head,
                        bool is_for_request);
  void keep_part(const cache::StorePlan& plan, const http::ResponseHead& head,
                 const http::ResponseForwarding& how);
  void add_to_part(const Chain& bytes);
  void store_part();
  void ask_for_missing();
  bool complete_base(const http::ResponseHead& head, const http::ResponseForwarding& how);
  void ask_for_all();
  void overflow(const Chain& bytes, uint64_t before);
  void store_whole();
  bool keeps_stale(int status) const noexcept;
  void end_flight(cache::Flight::State state, Error error = {}, int status = 0) noexcept;
  void tell() noexcept;
  void on_asker_progress() noexcept override;
  void on_turn_end() noexcept override;

  Site& site_;
  const SiteRoute& route_;
  Arena arena_;
  std::string ip_, listener_;
  ClientInfo info_;
  http::RequestHead request_;   // as it is sent: with our conditions in place of the client's
  http::RequestHead original_;  // without any
  cache::KeyUrl url_;
  cache::Key key_;
  std::string_view target_, request_id_, traceparent_;
  cache::Variants stored_;
  std::span<const cache::Stored> stored_facts_;  // of the same
  std::optional<size_t> matching_;
  cache::Conditions conditions_;
  Ref<cache::Flight> flight_;
  uint64_t purges_at_start_ = 0;
  Look look_{*this};
  SharedUse shared_ = SharedUse::none;
  bool may_be_shared_ = false;  // a look came too late to say what is there
  std::optional<http::RequestDirectives> directives_;
  cache::SharedStamp stamp_;  // of the shared tier, before an endpoint was asked
  WallTime sent_{};

  FetchAnswer answer_{*this};
  Exchange* exchange_ = nullptr;

  Verdict verdict_ = Verdict::asking;
  cache::NoStoreReason refused_ = cache::NoStoreReason::kNone;
  bool was_validated_ = false;
  bool was_found_stale_ = false;
  bool is_overflowing_ = false;
  bool asks_again_ = false;  // a 304 that fits nothing: once more without conditions
  bool has_news_ = false;    // for the asker
  bool wakes_exchange_ = false;
  bool is_buried_ = false;
  int endpoint_status_ = 0;
  Error error_;
  TryFacts facts_;
  Ref<cache::Entry> entry_;
  Ref<cache::Body> growing_;
  Ref<cache::Entry> base_;                  // which lacks what is asked for
  std::optional<http::ByteRange> missing_;  // of it, asked for so that it is whole
  std::optional<cache::PartPlace> place_;   // of what is passed on and kept
  Chain no_body_;
  http::FieldList no_trailers_;
};

}  // namespace sluice::proxy
