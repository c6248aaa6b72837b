// What a Fetch passes on, as its asker sees it: the stream of an endpoint. Interim responses and
// trailers come this way too; what is stored does not.
//
// Owner: the Fetch. Thread: the worker's. Heads and trailers are copied into the asker's arena;
// they are gone when it lets go, after which nothing more is taken.
#pragma once

#include <cstdint>
#include <string_view>

#include "sluice/base/arena.h"
#include "sluice/base/chain.h"
#include "sluice/base/error.h"
#include "sluice/http/message.h"
#include "sluice/upstream/upstream_stream.h"

namespace sluice::proxy {

class FetchAnswer final : public upstream::UpstreamStream {
 public:
  class Owner {
   public:
    // The asker wants more, or has let go.
    virtual void on_asker_progress() noexcept = 0;
    virtual Error failure() const noexcept = 0;

   protected:
    ~Owner() = default;
  };

  explicit FetchAnswer(Owner& owner) noexcept : owner_(owner) {}

  // For the Fetch. Dropped when there is no asker any more.
  bool is_wanted() const noexcept { return is_wanted_; }
  bool add_interim(const http::ResponseHead& head);  // false: dropped
  void set_head(const http::ResponseHead& head, std::string_view extra_lines);
  void add_body(Chain&& bytes);
  void add_body(const Chain& bytes, uint64_t from);  // what comes after the first `from`
  void finish(const http::FieldList* trailers);
  // What the exchange has to count as unsent, so that it holds its endpoint back.
  size_t waiting() const noexcept;
  void tell() noexcept {
    if (asker_ != nullptr) asker_->on_upstream_progress();
  }
  std::string_view extra_lines() const noexcept { return extra_lines_; }

  // UpstreamStream, for the asker.
  void begin(upstream::UpstreamListener* listener, Arena* arena) noexcept override;
  void send_head(const http::RequestHead&, const http::RequestForwarding&) override {}
  void send_body(Chain&&) override {}
  void send_end(const http::FieldList*) override {}
  void flush() noexcept override {}
  size_t pending() const noexcept override { return 0; }
  const http::ResponseHead* interim() const noexcept override {
    return interim_ == nullptr ? nullptr : &interim_->head;
  }
  void pop_interim() noexcept override { interim_ = interim_->next; }
  const http::ResponseHead* head() const noexcept override { return head_; }
  Chain& body() noexcept override { return body_; }
  bool is_complete() const noexcept override { return is_complete_; }
  const http::FieldList& trailers() const noexcept override { return trailers_; }
  Error error() const noexcept override { return owner_.failure(); }
  bool has_response_bytes() const noexcept override { return head_ != nullptr; }
  void pause_body() noexcept override { is_paused_ = true; }
  void resume_body() noexcept override;
  bool is_paused() const noexcept override { return is_paused_; }
  void expect_by(TimePoint, Errc) noexcept override {}  // the exchange has deadlines of its own
  bool is_reused() const noexcept override { return false; }
  upstream::Endpoint& endpoint() noexcept override;
  void release() noexcept override { let_go(); }
  void abandon(CloseReason) noexcept override { let_go(); }

 private:
  struct Interim {
    http::ResponseHead head;
    Interim* next;
  };
  void let_go() noexcept;

  Owner& owner_;
  upstream::UpstreamListener* asker_ = nullptr;
  Arena* arena_ = nullptr;      // the asker's
  Interim* interim_ = nullptr;  // the oldest one not taken
  const http::ResponseHead* head_ = nullptr;
  std::string_view extra_lines_;
  Chain body_;
  http::FieldList trailers_;
  bool is_wanted_ = true;
  bool is_paused_ = false;
  bool is_complete_ = false;
};

}  // namespace sluice::proxy
