#include "sluice/orders/postgres/pg_connection.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "sluice/base/check.h"
#include "sluice/base/log.h"

namespace sluice::orders {
namespace {

// The server gives up before we do, so that a statement which was too slow is known to be undone.
constexpr int kStatementTimeoutMs = 1500;

bool has(const std::vector<std::pair<std::string, std::string>>& options, std::string_view name) {
  return std::ranges::any_of(options, [name](const auto& each) { return each.first == name; });
}

std::string escaped_spaces(std::string_view text) {
  std::string out;
  for (char c : text) out += c == ' ' ? std::string("\\ ") : std::string(1, c);
  return out;
}

std::string_view field(const PGresult* result, int code) noexcept {
  const char* text = PQresultErrorField(result, code);
  return text == nullptr ? std::string_view() : std::string_view(text);
}

}  // namespace

PgConnection::PgConnection(loop::Loop& loop, const PgAddress& address, PgEvents& events)
    : loop_(loop),
      address_(address),
      events_(events),
      timer_(loop::Timer::make<&PgConnection::on_timer>(loop_, this)) {}

PgConnection::~PgConnection() { poll_.reset(); }

void PgConnection::start() {
  if (state_ == State::kOff) connect();
}

// Connecting
// ---------------------------------------------------------------------------------------

void PgConnection::connect() {
  state_ = State::kConnecting;
  timer_.set_after(kHandshake);
  if (!address_.host.empty()) return look_up();
  begin({});
}

// libpq would look the name up inside PQconnectStart(), and block.
void PgConnection::look_up() {
  lookup_ = loop::resolve(loop_, address_.host, 0, [this](Result<std::vector<SocketAddress>> all) {
    lookup_.reset();
    if (!all) return lose(PgFault::kLost, all.error().text());
    std::string addresses;
    for (const SocketAddress& each : *all) {
      std::string text = each.to_string();
      text.resize(text.rfind(':'));
      if (text.front() == '[') text = text.substr(1, text.size() - 2);
      if (!addresses.empty()) addresses += ',';
      addresses += text;
    }
    begin(addresses);
  });
}

// A host with several addresses is written to libpq as so many hosts (PostgreSQL 15, 34.1.1.3).
void PgConnection::begin(const std::string& addresses) {
  auto options = address_.options;
  if (!addresses.empty()) {
    const auto more = std::ranges::count(addresses, ',');
    for (auto& [name, value] : options) {
      const std::string another = "," + value;
      for (auto i = more; name == "host" && i > 0; --i) value += another;
    }
    options.emplace_back("hostaddr", addresses);
  }
  add_defaults(options);
  std::vector<const char*> names, values;
  for (const auto& [name, value] : options) {
    names.push_back(name.c_str());
    values.push_back(value.c_str());
  }
  names.push_back(nullptr);
  values.push_back(nullptr);
  conn_.reset(PQconnectStartParams(names.data(), values.data(), 0));
  SL_CHECK(conn_ != nullptr);
  // Not here: nobody is called inside a call.
  if (PQstatus(conn_.get()) == CONNECTION_BAD) return timer_.set(loop_.now());
  PQsetNoticeReceiver(conn_.get(), on_notice, this);
  watch(true);
}

// Plans are kept by a connection, and one that was made for empty tables would read them whole when
// they have grown, until somebody analyses them.
void PgConnection::add_defaults(std::vector<std::pair<std::string, std::string>>& options) const {
  std::string settings = fmt::format(
      "-c statement_timeout={} -c idle_in_transaction_session_timeout=5000 "
      "-c enable_seqscan=off -c default_transaction_isolation={}",
      kStatementTimeoutMs, escaped_spaces(address_.isolation));
  for (auto& [name, value] : options) {
    if (name == "options") value = fmt::format("{} {}", settings, value);
  }
  for (const auto& [name, value] : std::initializer_list<std::pair<const char*, std::string>>{
           {"options", settings},
           {"application_name", "sluice-orders"},
           {"client_encoding", "UTF8"},
           {"target_session_attrs", "read-write"},  // no standby, nor a server that became one
           {"gssencmode", "disable"}}) {            // Kerberos may look names up, and block
    if (!has(options, name)) options.emplace_back(name, value);
  }
}

// libpq may go on to another address with another descriptor.
void PgConnection::step_handshake() noexcept {
  poll_.reset();
  switch (PQconnectPoll(conn_.get())) {
    case PGRES_POLLING_READING:
      return watch(false);
    case PGRES_POLLING_WRITING:
      return watch(true);
    case PGRES_POLLING_OK:
      return become_ready();
    case PGRES_POLLING_FAILED:
    case PGRES_POLLING_ACTIVE:
      break;
  }
  lose(PgFault::kLost, last_message());
}

void PgConnection::watch(bool writable) noexcept {
  if (poll_ == nullptr) {
    poll_ =
        std::make_unique<loop::Poll>(loop_, PQsocket(conn_.get()), [this](bool, bool) { on_io(); });
  }
  // During the handshake libpq says which one it waits for; reading goes on ever after.
  const bool is_handshake = state_ == State::kConnecting;
  poll_->want(!is_handshake || !writable, writable);
}

void PgConnection::become_ready() noexcept {
  if (PQsetnonblocking(conn_.get(), 1) != 0 || PQenterPipelineMode(conn_.get()) != 1) {
    return lose(PgFault::kLost, last_message());
  }
  timer_.cancel();
  prepared_.clear();
  failures_ = 0;
  state_ = State::kReady;
  watch(false);
  events_.on_pg_ready(*this);
}

// A batch
// --------------------------------------------------------------------------------------------

void PgConnection::run(const PgSteps& steps, TimePoint deadline, Done done) {
  SL_CHECK(state_ == State::kReady && !steps.empty());
  state_ = State::kBusy;
  done_ = std::move(done);
  reply_ = {};
  reply_.rows.reserve(steps.size());
  sent_.clear();
  answered_ = 0;
  is_fatal_ = false;
  timer_.set(deadline);
  // What cannot even be sent is found out by the timer: nobody is answered inside a call.
  if (!send(steps)) return timer_.set(loop_.now());
  flush();
}

bool PgConnection::send(const PgSteps& steps) {
  for (const PgStep& step : steps) {
    if (!send(step)) return false;
  }
  return PQpipelineSync(conn_.get()) == 1;
}

bool PgConnection::send(const PgStep& step) {
  const PgStatement* statement = step.statement;
  std::vector<const char*> values;
  for (const std::string& text : step.values.texts()) values.push_back(text.c_str());
  const auto count = static_cast<int>(values.size());
  const std::string_view name = statement->name;
  if (name.empty()) {
    sent_.push_back({statement, false});
    return PQsendQueryParams(conn_.get(), statement->sql, count, nullptr, values.data(), nullptr,
                             nullptr, 0) == 1;
  }
  const bool is_sent = std::ranges::any_of(sent_, [name](const Sent& sent) {
    return sent.is_preparation && sent.statement->name == name;
  });
  if (!is_sent && !prepared_.contains(name)) {
    sent_.push_back({statement, true});
    if (PQsendPrepare(conn_.get(), statement->name, statement->sql, count, nullptr) != 1) {
      return false;
    }
  }
  sent_.push_back({statement, false});
  return PQsendQueryPrepared(conn_.get(), statement->name, count, values.data(), nullptr, nullptr,
                             0) == 1;
}

void PgConnection::flush() noexcept {
  const int left = PQflush(conn_.get());
  // A connection that broke shows itself to the reader.
  watch(left == 1);
}

void PgConnection::on_io() noexcept {
  if (state_ == State::kConnecting) return step_handshake();
  if (!is_up()) return;
  if (PQconsumeInput(conn_.get()) != 1) return lose(PgFault::kLost, last_message());
  if (state_ == State::kBusy) {
    flush();
    return read_results();
  }
  // Ready: notices were told; what else would come is the end.
  while (PQisBusy(conn_.get()) == 0) {
    PGresult* result = PQgetResult(conn_.get());
    if (result == nullptr) break;
    PQclear(result);
  }
  if (PQstatus(conn_.get()) == CONNECTION_BAD) lose(PgFault::kLost, last_message());
}

// Each statement gives a result and a null; the sync, alone, ends the batch.
void PgConnection::read_results() noexcept {
  bool was_null = false;
  while (PQisBusy(conn_.get()) == 0) {
    PGresult* result = PQgetResult(conn_.get());
    if (result != nullptr && PQresultStatus(result) == PGRES_PIPELINE_SYNC) {
      PQclear(result);
      return finish();
    }
    const bool is_null = result == nullptr;
    if (!is_null) take(result);
    if (PQstatus(conn_.get()) == CONNECTION_BAD || (is_null && was_null)) {
      return lose(PgFault::kLost, reply_.failure ? reply_.failure.message : last_message());
    }
    was_null = is_null;
  }
}

void PgConnection::take(PGresult* result) noexcept {
  PgRows rows(result);
  // The sync commits what has no transaction of its own, and may fail as any COMMIT does.
  if (answered_ == sent_.size()) {
    if (PQresultStatus(result) == PGRES_FATAL_ERROR) note_failure(result);
    return;
  }
  const Sent& sent = sent_[answered_++];
  switch (PQresultStatus(result)) {
    case PGRES_TUPLES_OK:
    case PGRES_COMMAND_OK:
      break;
    case PGRES_PIPELINE_ABORTED:
      return;
    default:
      return note_failure(result);
  }
  if (sent.is_preparation) {
    prepared_.insert(sent.statement->name);
  } else {
    if (!reply_.failure) reply_.rows.push_back(std::move(rows));
  }
}

void PgConnection::note_failure(const PGresult* result) {
  const std::string_view severity = field(result, PG_DIAG_SEVERITY_NONLOCALIZED);
  is_fatal_ = is_fatal_ || severity == "FATAL" || severity == "PANIC";
  if (reply_.failure) return;
  reply_.failure.fault = PgFault::kRefused;
  reply_.failure.state = field(result, PG_DIAG_SQLSTATE);
  reply_.failure.message = clean(field(result, PG_DIAG_MESSAGE_PRIMARY));
  reply_.failure.detail = field(result, PG_DIAG_MESSAGE_DETAIL);
}

// A batch that had begun a transaction of its own has failed before its COMMIT.
void PgConnection::roll_back() noexcept {
  static const PgStatement kRollback{"", "ROLLBACK"};
  sent_.clear();
  answered_ = 0;
  if (!send(PgSteps{{&kRollback, PgValues()}})) return timer_.set(loop_.now());
  flush();
}

void PgConnection::finish() noexcept {
  if (is_fatal_ || reply_.failure.is_stale()) {
    return lose(PgFault::kRefused, reply_.failure.message);
  }
  if (reply_.failure) reply_.rows.clear();
  if (PQtransactionStatus(conn_.get()) == PQTRANS_INERROR) return roll_back();
  timer_.cancel();
  state_ = State::kReady;
  const Done done = std::exchange(done_, nullptr);
  PgReply reply = std::move(reply_);
  events_.on_pg_ready(*this);
  done(std::move(reply));
}

// Losing it
// ----------------------------------------------------------------------------------------

void PgConnection::on_timer() noexcept {
  switch (state_) {
    case State::kWaiting:
      return connect();
    case State::kConnecting:
      if (conn_ != nullptr && PQstatus(conn_.get()) == CONNECTION_BAD) {
        return lose(PgFault::kLost, last_message());
      }
      return lose(PgFault::kLate, "no connection in time");
    case State::kBusy:
      return PQstatus(conn_.get()) == CONNECTION_BAD ? lose(PgFault::kLost, last_message())
                                                     : lose(PgFault::kLate, "no answer in time");
    case State::kOff:
    case State::kReady:
      return;
  }
}

void PgConnection::lose(PgFault fault, std::string_view why) noexcept {
  const std::string text = clean(why);
  const bool was_busy = state_ == State::kBusy;
  lookup_.reset();
  poll_.reset();
  conn_.reset();
  state_ = State::kWaiting;
  Duration pause = kFirstPause;
  for (uint32_t i = 0; i < failures_ && pause < kLongestPause; ++i) pause *= 2;
  ++failures_;
  pause = std::min(pause, kLongestPause);
  timer_.set_after(Duration(pause.count() / 2 + static_cast<int64_t>(random_.below(
                                                    static_cast<uint64_t>(pause.count() / 2)))));
  const Done done = std::exchange(done_, nullptr);
  PgReply reply = std::move(reply_);
  reply.rows.clear();
  events_.on_pg_lost(*this, text);
  if (!was_busy) return;
  // Refused under way by a server that ends: whether it was before or after the commit it knows.
  const bool is_known = fault == PgFault::kRefused && !is_fatal_;
  if (!is_known) reply.failure = {is_fatal_ ? PgFault::kLost : fault, {}, text, {}};
  done(std::move(reply));
}

std::string PgConnection::last_message() const {
  return conn_ == nullptr ? std::string() : std::string(PQerrorMessage(conn_.get()));
}

// One line, without the password, should a server repeat it.
std::string PgConnection::clean(std::string_view text) const {
  std::string out(text);
  const std::string& password = address_.password;
  for (size_t at = 0; !password.empty() && (at = out.find(password, at)) != std::string::npos;) {
    out.replace(at, password.size(), "***");
    at += 3;
  }
  while (!out.empty() && (out.back() == '\n' || out.back() == ' ')) out.pop_back();
  std::ranges::replace(out, '\n', ' ');
  return out;
}

void PgConnection::on_notice(void* owner, const PGresult* notice) noexcept {
  static LogLimiter limiter;
  const auto& connection = *static_cast<PgConnection*>(owner);
  log_limited(limiter, LogLevel::info, "postgres", "{}: {}",
              field(notice, PG_DIAG_SEVERITY_NONLOCALIZED),
              connection.clean(field(notice, PG_DIAG_MESSAGE_PRIMARY)));
}

}  // namespace sluice::orders
