#include "sluice/redis/link.h"

#include <fmt/format.h>

#include <utility>

#include "backoff.h"
#include "sluice/base/check.h"
#include "sluice/redis/fault.h"

namespace sluice::redis {

Link::Link(loop::Loop& loop, LinkOptions options, LinkEvents& events)
    : loop_(loop),
      options_(std::move(options)),
      events_(events),
      reader_(options_.limits),
      timer_(loop::Timer::make<&Link::on_timer>(loop_, this)) {}

void Link::start() {
  if (state_ == State::kOff) begin();
}

// Connecting
// ---------------------------------------------------------------------------------------

void Link::begin() {
  SL_CHECK(stream_ == nullptr);
  state_ = State::kConnecting;
  reader_.reset();
  deadline_ = loop_.now() + options_.handshake;
  timer_.set(deadline_);
  next_ = 0;
  addresses_.clear();
  if (!options_.address.is_unix()) return look_up();
  const auto path = SocketAddress::from_path(options_.address.path);
  SL_CHECK(path.has_value());  // parse_address() has seen to it
  addresses_.push_back(*path);
  try_next();
}

void Link::look_up() {
  lookup_ = loop::resolve(loop_, options_.address.host, options_.address.port,
                          [this](Result<std::vector<SocketAddress>> found) {
                            lookup_.reset();
                            if (!found) return fail(found.error().text());
                            addresses_ = *std::move(found);
                            try_next();
                          });
}

// An address that does not answer gets its part of the time left, so that the next ones have
// theirs.
void Link::try_next() {
  const TimePoint now = loop_.now();
  timer_.set(now + (deadline_ - now) / static_cast<int64_t>(addresses_.size() - next_));
  connect_ = loop::connect(loop_, addresses_[next_++], this);
}

void Link::on_connect_failed(Error error) noexcept {
  if (next_ < addresses_.size() && loop_.now() < deadline_) return try_next();
  fail(error.text());
}

void Link::on_connected(std::unique_ptr<loop::Stream> stream) noexcept {
  connect_.reset();
  timer_.set(deadline_);
  stream_ = std::move(stream);
  stream_->start(this);
  greet();
}

// All greetings leave in one write; their answers come in this order.
void Link::greet() {
  const Address& address = options_.address;
  Chain out;
  greetings_.clear();
  {
    ChainWriter writer(loop_.chunks(), out);
    const auto say = [&](Greeting greeting, Args args) {
      write_command(args, writer, out);
      greetings_.push_back(greeting);
    };
    if (!address.user.empty()) {
      say(Greeting::kAuth, std::initializer_list<Arg>{"AUTH", address.user, address.password});
    } else if (!address.password.empty()) {
      say(Greeting::kAuth, std::initializer_list<Arg>{"AUTH", address.password});
    }
    if (address.database != 0) {
      const std::string database = std::to_string(address.database);
      say(Greeting::kSelect, std::initializer_list<Arg>{"SELECT", database});
    }
    say(Greeting::kName, std::initializer_list<Arg>{"CLIENT", "SETNAME", "sluice"});
  }
  stats_.bytes_out += out.size();
  stream_->write(std::move(out));
}

void Link::on_greeted(const Reply& reply) noexcept {
  const Greeting greeting = greetings_.front();
  greetings_.erase(greetings_.begin());
  const bool is_refused = reply.type() == Type::kError;
  // A user who may not name his connection may still use it.
  const bool is_name_only = greeting == Greeting::kName && fault_of(reply.text()) != Fault::kNoAuth;
  if (is_refused && !is_name_only) return fail(reply.text());
  if (!is_refused && reply.type() != Type::kStatus) return fail("it does not answer like Redis");
  if (greetings_.empty()) become_ready();
}

void Link::become_ready() noexcept {
  state_ = State::kReady;
  ready_at_ = loop_.now();
  ++stats_.connects;
  timer_.cancel();
  events_.on_link_ready();
}

// Ready
// --------------------------------------------------------------------------------------------

void Link::send(Chain&& bytes) noexcept {
  SL_CHECK(is_ready());
  stats_.bytes_out += bytes.size();
  stream_->write(std::move(bytes));
}

// What is called here may drop the connection. Its reader stays as it is, for the sake of the reply
// that is being looked at, until the next connection is made.
void Link::on_read(Slice bytes) noexcept {
  heard_at_ = loop_.now();
  stats_.bytes_in += bytes.size();
  reader_.feed(std::move(bytes));
  while (stream_ != nullptr) {
    switch (reader_.next()) {
      case RespReader::Step::kMore:
        return;
      case RespReader::Step::kBroken:
        return fail(reader_.error());
      case RespReader::Step::kReply:
        break;
    }
    if (is_ready()) {
      events_.on_link_reply(reader_.reply());
    } else {
      on_greeted(reader_.reply());
    }
  }
}

// Losing it
// ----------------------------------------------------------------------------------------

void Link::on_eof() noexcept { fail("closed by the server"); }

void Link::on_broken(Error error) noexcept { fail(error.text()); }

void Link::on_timer() noexcept {
  switch (state_) {
    case State::kWaiting:
      return begin();
    case State::kConnecting:
      break;
    case State::kOff:
    case State::kReady:
      return;
  }
  const bool has_next = connect_ != nullptr && next_ < addresses_.size();
  if (has_next && loop_.now() < deadline_) return try_next();
  if (stream_ != nullptr) return fail("no answer to the greeting in time");
  fail(lookup_ != nullptr ? "the look-up of the name took too long" : "no connection in time");
}

void Link::fail(std::string_view why) noexcept {
  const bool was_ready = is_ready();
  const std::string text = fmt::format("{}: {}", options_.address.to_string(), why);
  drop();
  events_.on_link_lost(text, was_ready);
}

void Link::drop() noexcept {
  SL_CHECK(state_ == State::kConnecting || state_ == State::kReady);
  const bool was_ready = is_ready();
  ++(was_ready ? stats_.losses : stats_.failed_connects);
  // Else a server that greets and closes would be asked again and again at the shortest pause.
  if (was_ready && loop_.now() - ready_at_ >= options_.longest_pause) failures_ = 0;
  let_go(CloseReason::kPeerError);
  wait_a_while();
}

void Link::wait_a_while() noexcept {
  state_ = State::kWaiting;
  const Duration pause = doubled(options_.first_pause, failures_++, options_.longest_pause);
  timer_.set_after(less_some(pause, 0.5 * random_.unit()));
}

void Link::stop() noexcept {
  state_ = State::kOff;
  failures_ = 0;
  timer_.cancel();
  let_go(CloseReason::kShutdown);
}

void Link::let_go(CloseReason reason) noexcept {
  lookup_.reset();
  connect_.reset();
  if (stream_ != nullptr) stream_->close(reason);
  stream_.reset();
}

}  // namespace sluice::redis
