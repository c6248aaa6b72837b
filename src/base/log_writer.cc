#include "sluice/base/log_writer.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <thread>
#include <vector>

#include "sluice/base/check.h"
#include "sluice/base/clock.h"
#include "sluice/base/log.h"

namespace sluice {

namespace {

constexpr Duration kLook = std::chrono::milliseconds(20);
constexpr Duration kPatience = std::chrono::milliseconds(200);
constexpr Duration kStuckFor = std::chrono::seconds(1);
// What a pipe takes without blocking once poll() says that it is writable (PIPE_BUF on Linux). We
// may not make stdout non-blocking: others share its file description.
constexpr size_t kMostToSlow = 4096;

struct SinkFile {
  std::string path;
  int fd = -1;
  bool is_file = false;  // opened by us, so to be closed and opened anew by us
  bool is_slow = false;  // its reader can make us wait: pipe, socket, terminal
  bool is_mid_line = false;
  const LogRing* unfinished = nullptr;  // the ring of which half a line was written
  TimePoint stuck_until{};
};

struct Source {
  LogRing* ring;
  SinkFile* sink;
  bool is_leaving = false;
};

int open_for_appending(const std::string& path) noexcept {
  // O_NONBLOCK so that a FIFO without a reader is an error and not a wait.
  return ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0640);
}

bool can_be_slow(int fd) noexcept {
  struct stat info;
  if (fstat(fd, &info) != 0) return false;
  return S_ISFIFO(info.st_mode) || S_ISSOCK(info.st_mode) || isatty(fd) == 1;
}

bool is_writable_before(int fd, TimePoint deadline) noexcept {
  for (;;) {
    const Duration left = std::max(deadline - monotonic_now(), Duration(0));
    pollfd entry{fd, POLLOUT, 0};
    const int timeout =
        static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(left).count());
    const int ready = poll(&entry, 1, timeout);
    if (ready >= 0 || errno != EINTR) return ready > 0;
  }
}

std::string_view rest_of(const LogRing::Spans& spans, size_t done) noexcept {
  if (done < spans.first.size()) return spans.first.substr(done);
  return spans.second.substr(done - spans.first.size());
}

uint64_t lines_in(std::string_view text) noexcept {
  return static_cast<uint64_t>(std::count(text.begin(), text.end(), '\n'));
}

ssize_t write_to_file(int fd, const LogRing::Spans& spans, size_t done) noexcept {
  const std::string_view head = rest_of(spans, done);
  iovec parts[2] = {{const_cast<char*>(head.data()), head.size()},
                    {const_cast<char*>(spans.second.data()), spans.second.size()}};
  return writev(fd, parts, done < spans.first.size() && !spans.second.empty() ? 2 : 1);
}

// Whole lines if possible, so that the lines of several programs on one pipe do not mix.
ssize_t write_to_slow(int fd, std::string_view rest) noexcept {
  std::string_view part = rest.substr(0, kMostToSlow);
  const size_t last = part.rfind('\n');
  if (last != std::string_view::npos) part = part.substr(0, last + 1);
  return write(fd, part.data(), part.size());
}

// A fault of the log itself can only be told on stderr, and only if that does not block.
void report(const SinkFile& sink, const char* what, int sys) noexcept {
  static LogLimiter limiter;
  if (!is_writable_before(STDERR_FILENO, TimePoint{})) return;
  log_limited(limiter, LogLevel::error, "log", "cannot {} {}: {}", what, sink.path,
              std::strerror(sys));
}

// The writer thread takes no signals but those of its own faults.
class SignalsBlocked {
 public:
  SignalsBlocked() noexcept {
    sigset_t all;
    sigfillset(&all);
    for (int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) sigdelset(&all, signal);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

}  // namespace

struct LogWriter::State {
  // `mutex` guards sinks, sources, is_running and is_stopping, and is never held while writing.
  // What is in a SinkFile belongs to the writer thread (to the caller before start() and after
  // stop()).
  std::mutex mutex;
  std::condition_variable wanted;   // the writer waits here
  std::condition_variable removed;  // remove() waits here
  std::vector<std::unique_ptr<SinkFile>> sinks;
  std::vector<Source> sources;
  bool is_running = false;
  bool is_stopping = false;
  std::thread thread;
  std::vector<Source> round;  // what the writer works on now
  std::vector<SinkFile*> round_sinks;
  std::atomic<bool> is_woken{false};
  std::atomic<bool> is_reopen_wanted{false};
  std::atomic<uint64_t> write_errors{0};
  std::atomic<uint64_t> lost_lines{0};

  void run() noexcept;
  bool await_round();
  void write_round(bool is_last) noexcept;
  void end_round();
  void reopen_files() noexcept;
  void drain(LogRing& ring, SinkFile& sink, bool is_last) noexcept;
  size_t write_spans(SinkFile& sink, const LogRing::Spans& spans, int& sys) noexcept;
  void lose(LogRing& ring, SinkFile& sink, const LogRing::Spans& spans, size_t done) noexcept;
  void end_broken_line(SinkFile& sink) noexcept;
};

// The writer's thread
// ------------------------------------------------------------------------------

void LogWriter::State::run() noexcept {
  bool is_last = false;
  while (!is_last) {
    is_last = await_round();
    if (is_reopen_wanted.exchange(false)) reopen_files();
    write_round(is_last);
    end_round();
  }
}

// Returns whether this round is the last.
bool LogWriter::State::await_round() {
  std::unique_lock lock(mutex);
  wanted.wait_for(lock, kLook, [this] { return is_woken.load() || is_stopping; });
  is_woken.store(false);
  round = sources;
  round_sinks.clear();
  for (const auto& sink : sinks) round_sinks.push_back(sink.get());
  return is_stopping;
}

void LogWriter::State::write_round(bool is_last) noexcept {
  for (const Source& source : round) {
    drain(*source.ring, *source.sink, is_last || source.is_leaving);
  }
}

void LogWriter::State::end_round() {
  const auto was_leaving = [this](const Source& source) {
    return std::any_of(round.begin(), round.end(), [&source](const Source& done) {
      return done.ring == source.ring && done.is_leaving;
    });
  };
  std::lock_guard lock(mutex);
  if (std::erase_if(sources, was_leaving) > 0) removed.notify_all();
}

void LogWriter::State::reopen_files() noexcept {
  for (SinkFile* sink : round_sinks) {
    if (!sink->is_file) continue;
    const int fd = open_for_appending(sink->path);
    if (fd < 0) {
      report(*sink, "reopen", errno);
      continue;
    }
    close(sink->fd);
    sink->fd = fd;
    sink->is_slow = can_be_slow(fd);
    sink->is_mid_line = false;
    sink->unfinished = nullptr;
  }
}

// What a slow sink does not take stays in the ring, which then counts what does not fit any more;
// but with `is_last` it is lost.
void LogWriter::State::drain(LogRing& ring, SinkFile& sink, bool is_last) noexcept {
  const LogRing::Spans spans = ring.peek();
  if (spans.is_empty()) return;
  if (sink.unfinished != nullptr && sink.unfinished != &ring) {
    if (is_last) lose(ring, sink, spans, 0);
    return;
  }
  int sys = 0;
  const size_t done = write_spans(sink, spans, sys);
  if (sys != 0) {
    write_errors.fetch_add(1, std::memory_order_relaxed);
    report(sink, "write", sys);
  }
  if (sys != 0 || is_last) {
    lose(ring, sink, spans, done);
  } else {
    ring.release(spans, done);
    sink.unfinished = sink.is_mid_line && done < spans.size() ? &ring : nullptr;
  }
}

// Returns how much was written; less than all when the sink is stuck, or failed with `sys`.
size_t LogWriter::State::write_spans(SinkFile& sink, const LogRing::Spans& spans,
                                     int& sys) noexcept {
  const TimePoint now = monotonic_now();
  const TimePoint deadline = now < sink.stuck_until ? now : now + kPatience;
  if (sink.is_mid_line && sink.unfinished == nullptr) end_broken_line(sink);
  size_t done = 0;
  while (done < spans.size()) {
    if (sink.is_slow && !is_writable_before(sink.fd, deadline)) {
      sink.stuck_until = monotonic_now() + kStuckFor;
      return done;
    }
    const ssize_t n = sink.is_slow ? write_to_slow(sink.fd, rest_of(spans, done))
                                   : write_to_file(sink.fd, spans, done);
    if (n > 0) {
      done += static_cast<size_t>(n);
      const size_t last = done - 1;
      sink.is_mid_line = rest_of(spans, last).front() != '\n';
      sink.stuck_until = TimePoint{};
      continue;
    }
    const bool may_retry = n < 0 && (errno == EINTR || (errno == EAGAIN && sink.is_slow));
    if (may_retry && monotonic_now() < deadline) continue;
    if (may_retry) return done;
    sys = n < 0 ? errno : EIO;
    return done;
  }
  return done;
}

void LogWriter::State::lose(LogRing& ring, SinkFile& sink, const LogRing::Spans& spans,
                            size_t done) noexcept {
  uint64_t lines = lines_in(rest_of(spans, done));
  if (done < spans.first.size()) lines += lines_in(spans.second);
  lost_lines.fetch_add(lines, std::memory_order_relaxed);
  ring.release(spans);
  if (sink.unfinished == &ring) sink.unfinished = nullptr;
}

// The rest of a line was lost: the next shall not continue it.
void LogWriter::State::end_broken_line(SinkFile& sink) noexcept {
  if (sink.is_slow && !is_writable_before(sink.fd, TimePoint{})) return;
  if (write(sink.fd, "\n", 1) == 1) sink.is_mid_line = false;
}

// Calls from other threads
// -------------------------------------------------------------------------

LogWriter::LogWriter() : state_(std::make_unique<State>()) {}

LogWriter::~LogWriter() {
  stop();
  for (const auto& sink : state_->sinks) {
    if (sink->is_file) close(sink->fd);
  }
}

Result<LogWriter::Sink> LogWriter::open(const std::string& path) {
  auto file = std::make_unique<SinkFile>();
  file->path = path;
  // The kernel's names cannot be opened when they are sockets, as under systemd.
  if (path == "/dev/stdout") file->path = "stdout";
  if (path == "/dev/stderr") file->path = "stderr";
  std::lock_guard lock(state_->mutex);
  auto& sinks = state_->sinks;
  for (size_t i = 0; i < sinks.size(); ++i) {
    if (sinks[i]->path == file->path) return static_cast<Sink>(i);
  }
  if (file->path == "stdout") {
    file->fd = STDOUT_FILENO;
  } else if (file->path == "stderr") {
    file->fd = STDERR_FILENO;
  } else {
    file->fd = open_for_appending(path);
    if (file->fd < 0) return Error(Errc::kSystem, "a log file cannot be opened", errno);
    file->is_file = true;
  }
  file->is_slow = can_be_slow(file->fd);
  sinks.push_back(std::move(file));
  return static_cast<Sink>(sinks.size() - 1);
}

void LogWriter::add(LogRing& ring, Sink sink) {
  std::lock_guard lock(state_->mutex);
  SL_CHECK(sink >= 0 && static_cast<size_t>(sink) < state_->sinks.size());
  state_->sources.push_back({&ring, state_->sinks[static_cast<size_t>(sink)].get()});
}

void LogWriter::remove(LogRing& ring) {
  std::unique_lock lock(state_->mutex);
  const auto find = [this, &ring] {
    auto& sources = state_->sources;
    return std::find_if(sources.begin(), sources.end(),
                        [&ring](const Source& source) { return source.ring == &ring; });
  };
  const auto source = find();
  if (source == state_->sources.end()) return;
  if (!state_->is_running) {
    state_->drain(ring, *source->sink, true);
    state_->sources.erase(source);
    return;
  }
  source->is_leaving = true;
  state_->is_woken.store(true);
  state_->wanted.notify_one();
  state_->removed.wait(lock, [&] { return find() == state_->sources.end(); });
}

void LogWriter::start() {
  std::lock_guard lock(state_->mutex);
  SL_CHECK(!state_->is_running);
  state_->is_running = true;
  state_->is_stopping = false;
  SignalsBlocked blocked;
  state_->thread = std::thread([state = state_.get()] { state->run(); });
}

void LogWriter::stop() {
  {
    std::lock_guard lock(state_->mutex);
    if (!state_->is_running || state_->is_stopping) return;
    state_->is_stopping = true;
  }
  state_->wanted.notify_one();
  state_->thread.join();
  std::lock_guard lock(state_->mutex);
  state_->is_running = false;
}

void LogWriter::reopen() {
  state_->is_reopen_wanted.store(true);
  wake();
}

void LogWriter::wake() noexcept {
  if (!state_->is_woken.exchange(true)) state_->wanted.notify_one();
}

uint64_t LogWriter::write_errors() const noexcept {
  return state_->write_errors.load(std::memory_order_relaxed);
}

uint64_t LogWriter::lost_lines() const noexcept {
  return state_->lost_lines.load(std::memory_order_relaxed);
}

}  // namespace sluice
