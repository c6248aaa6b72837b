// The endpoint behind every proxy of the benchmark: fixed answers, as cheap as they can be, so that
// origin and load generator together fit on one core without slowing the proxy down.
//
//   origin ENDPOINTS      listens on ENDPOINTS free ports of 127.0.0.1 and on one more, the sink;
//                         prints "origin PORT... sink PORT" and serves until a signal.
//
//   GET /b/10k, /b/1m     a body of 10 KiB, 1 MiB; any other path: 130 bytes
//   GET /c/...            the same, to be cached for a day
//   POST, PUT, ...        the body is read (Content-Length only) and answered with 130 bytes
//   the sink              reads and drops whatever comes (the log collector of a proxy)
//
// One thread, edge-triggered epoll registered once a connection, one read and one write a request.
// Not a general server: no chunked requests, and keep-alive whatever the request's Connection says.

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <string_view>

namespace {

constexpr size_t kBufferSize = 64 * 1024;
constexpr int kMaxEvents = 256;

struct Bodies {
  std::string small, medium, large;
};

struct Answers {
  Bodies plain, cached;
  std::string small_head, bad;
};

enum class Kind { kListener, kSinkListener, kClient, kSink };

struct Connection {
  int fd = -1;
  Kind kind = Kind::kClient;
  size_t body_left = 0;      // bytes of the request body still to be skipped
  bool answer_due = false;   // a request with a body: answer once it is read
  std::string_view pending;  // what is left of the answer under way
  std::string_view answer;   // what answers the request whose body is being skipped
  std::string unread;        // an incomplete head, or pipelined bytes behind a blocked answer
};

Answers g_answers;
int g_epoll = -1;
char g_buffer[kBufferSize];

std::string date_now() {
  char text[64];
  const time_t now = std::time(nullptr);
  std::tm parts{};
  std::strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &parts));
  return text;
}

std::string make_answer(size_t size, bool with_body, const std::string& more = {}) {
  std::string out = "HTTP/1.1 200 OK\r\nServer: origin\r\nDate: " + date_now() +
                    "\r\nContent-Type: text/plain\r\nETag: \"bench\"\r\n" + more +
                    "Content-Length: " + std::to_string(size) + "\r\n\r\n";
  if (with_body) {
    std::string line = "sluice benchmark body, sixty-four bytes a line, this is a line.\n";
    while (size > 0) {
      size_t n = std::min(size, line.size());
      out.append(line, 0, n);
      size -= n;
    }
  }
  return out;
}

Bodies make_bodies(const std::string& more) {
  return {make_answer(130, true, more), make_answer(10 * 1024, true, more),
          make_answer(1024 * 1024, true, more)};
}

void make_answers() {
  g_answers.plain = make_bodies({});
  g_answers.cached = make_bodies("Cache-Control: public, max-age=86400\r\n");
  g_answers.small_head = make_answer(130, false);
  g_answers.bad = "HTTP/1.1 501 Not Implemented\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
}

[[noreturn]] void fail(const char* what) {
  std::perror(what);
  std::exit(1);
}

void watch(Connection* c) {
  epoll_event ev{};
  ev.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP;
  if (c->kind == Kind::kClient || c->kind == Kind::kSink) ev.events |= EPOLLET;
  if (c->kind == Kind::kListener || c->kind == Kind::kSinkListener) ev.events = EPOLLIN;
  ev.data.ptr = c;
  if (epoll_ctl(g_epoll, EPOLL_CTL_ADD, c->fd, &ev) != 0) fail("epoll_ctl");
}

int listen_on_free_port(Kind kind) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (fd < 0 || bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0) fail("bind");
  if (listen(fd, 4096) != 0) fail("listen");
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  auto* c = new Connection;
  c->fd = fd;
  c->kind = kind;
  watch(c);
  return ntohs(address.sin_port);
}

void accept_all(const Connection& listener) {
  for (;;) {
    int fd = accept4(listener.fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;  // EAGAIN, or a client that left: nothing to do in either case
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    auto* c = new Connection;
    c->fd = fd;
    c->kind = listener.kind == Kind::kListener ? Kind::kClient : Kind::kSink;
    watch(c);
  }
}

void close_connection(Connection* c) {
  close(c->fd);
  delete c;
}

// True when all of `pending` went out; errors count as sent, the read that follows sees them.
bool flush(Connection* c) {
  while (!c->pending.empty()) {
    ssize_t n = send(c->fd, c->pending.data(), c->pending.size(), MSG_NOSIGNAL);
    if (n < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) return false;
      c->pending = {};
      return true;
    }
    c->pending.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

// The value of a header in `head`, found without regard to case; empty when absent.
std::string_view find_header(std::string_view head, std::string_view name_with_colon) {
  size_t at = head.find("\r\n");
  while (at != std::string_view::npos && at + 2 < head.size()) {
    std::string_view line = head.substr(at + 2);
    size_t end = line.find("\r\n");
    line = line.substr(0, end);
    if (line.size() > name_with_colon.size() &&
        strncasecmp(line.data(), name_with_colon.data(), name_with_colon.size()) == 0) {
      line.remove_prefix(name_with_colon.size());
      while (!line.empty() && line.front() == ' ') line.remove_prefix(1);
      return line;
    }
    at = end == std::string_view::npos ? end : at + 2 + end;
  }
  return {};
}

std::string_view choose_answer(std::string_view head) {
  size_t target = head.find(' ');
  std::string_view path = target == std::string_view::npos ? head : head.substr(target + 1);
  if (head.starts_with("HEAD ")) return g_answers.small_head;
  const Bodies& bodies = path.starts_with("/c/") ? g_answers.cached : g_answers.plain;
  if (path.substr(0, 3).ends_with('/')) path.remove_prefix(3);
  if (path.starts_with("10k")) return bodies.medium;
  if (path.starts_with("1m")) return bodies.large;
  return bodies.small;
}

// Handles what is in `in`; returns how many bytes it used. Stops at an incomplete head and behind
// an answer that could not be written in full.
size_t serve(Connection* c, std::string_view in) {
  size_t used = 0;
  while (used < in.size() && c->pending.empty()) {
    if (c->body_left > 0) {
      size_t n = std::min(c->body_left, in.size() - used);
      c->body_left -= n;
      used += n;
    } else {
      std::string_view rest = in.substr(used);
      size_t end = rest.find("\r\n\r\n");
      if (end == std::string_view::npos) break;
      std::string_view head = rest.substr(0, end);
      used += end + 4;
      c->answer = choose_answer(head);
      c->answer_due = true;
      if (head[0] != 'G') {
        if (!find_header(head, "transfer-encoding:").empty()) c->answer = g_answers.bad;
        c->body_left =
            std::strtoull(std::string(find_header(head, "content-length:")).c_str(), nullptr, 10);
      }
    }
    if (c->body_left == 0 && c->answer_due) {
      c->answer_due = false;
      c->pending = c->answer;
      if (!flush(c)) break;
    }
  }
  return used;
}

void serve_unread(Connection* c) {
  std::string taken = std::move(c->unread);
  c->unread.clear();
  size_t used = serve(c, taken);
  if (used < taken.size()) c->unread.assign(taken, used);
}

// Edge-triggered: reads until a short read says that the socket is empty.
void on_client(Connection* c, uint32_t events) {
  if (!c->pending.empty() && flush(c) && !c->unread.empty()) serve_unread(c);
  if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) == 0) return;
  for (;;) {
    ssize_t n = recv(c->fd, g_buffer, sizeof g_buffer, 0);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) return close_connection(c);
    if (n < 0) return;
    std::string_view in(g_buffer, static_cast<size_t>(n));
    if (c->kind == Kind::kClient) {
      if (c->unread.empty()) {
        size_t used = serve(c, in);
        if (used < in.size()) c->unread.assign(in.substr(used));
      } else {
        c->unread.append(in);
        if (c->pending.empty()) serve_unread(c);
      }
    }
    // With a hang-up on record the end of stream has yet to be read.
    if (static_cast<size_t>(n) < sizeof g_buffer &&
        (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) == 0)
      return;
  }
}

void run() {
  epoll_event events[kMaxEvents];
  for (;;) {
    int n = epoll_wait(g_epoll, events, kMaxEvents, -1);
    for (int i = 0; i < n; ++i) {
      auto* c = static_cast<Connection*>(events[i].data.ptr);
      if (c->kind == Kind::kListener || c->kind == Kind::kSinkListener) {
        accept_all(*c);
      } else {
        on_client(c, events[i].events);
      }
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  int endpoints = argc > 1 ? std::atoi(argv[1]) : 1;
  if (endpoints < 1 || endpoints > 64) {
    std::fprintf(stderr, "usage: origin ENDPOINTS\n");
    return 2;
  }
  std::signal(SIGPIPE, SIG_IGN);
  make_answers();
  g_epoll = epoll_create1(EPOLL_CLOEXEC);
  std::printf("origin");
  for (int i = 0; i < endpoints; ++i) std::printf(" %d", listen_on_free_port(Kind::kListener));
  std::printf(" sink %d\n", listen_on_free_port(Kind::kSinkListener));
  std::fflush(stdout);
  run();
}
