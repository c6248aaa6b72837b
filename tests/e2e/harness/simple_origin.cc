#include "tests/e2e/harness/simple_origin.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdlib>

namespace e2e {

SimpleOrigin::SimpleOrigin(std::string name, std::string body)
    : name_(std::move(name)), body_(std::move(body)) {
  Listening listening = listen_on_loopback();
  listening_ = std::move(listening.fd);
  port_ = listening.port;
  thread_ = std::thread([this] { run(); });
}

SimpleOrigin::~SimpleOrigin() { stop(); }

void SimpleOrigin::stop() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
}

void SimpleOrigin::start() {
  if (thread_.joinable()) return;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port_);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  listening_ = Fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int one = 1;
  setsockopt(listening_.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(listening_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      listen(listening_.get(), 4096) != 0) {
    throw Failure("an origin cannot have its port again");
  }
  stopping_ = false;
  thread_ = std::thread([this] { run(); });
}

void SimpleOrigin::run() {
  fcntl(listening_.get(), F_SETFL, O_NONBLOCK);
  epoll_ = Fd(epoll_create1(EPOLL_CLOEXEC));
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = listening_.get();
  epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, listening_.get(), &event);
  while (!stopping_) {
    epoll_event events[256];
    const int count = epoll_wait(epoll_.get(), events, 256, next_wait());
    for (int i = 0; i < count; ++i) {
      const int fd = events[i].data.fd;
      if (fd == listening_.get()) {
        accept_all();
      } else if (const auto it = open_.find(fd); it != open_.end()) {
        read_from(*it->second);
      }
    }
    answer_due();
  }
  listening_.close();
  while (!open_.empty()) drop(open_.begin()->first, true);
  due_.clear();
}

int SimpleOrigin::next_wait() const {
  constexpr int kMost = 20;  // so that stop() is seen
  if (due_.empty()) return kMost;
  const auto left = std::chrono::ceil<milliseconds>(due_.begin()->first - Clock::now()).count();
  return static_cast<int>(std::min<int64_t>(std::max<int64_t>(left, 0), kMost));
}

void SimpleOrigin::accept_all() {
  for (;;) {
    Fd fd(accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd.is_open()) return;
    const int one = 1;
    setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd.get();
    epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd.get(), &event);
    ++connections_;
    const int number = fd.get();
    open_[number] = std::make_unique<Connection>(Connection{std::move(fd), next_id_++, {}, false});
  }
}

void SimpleOrigin::read_from(Connection& connection) {
  char bytes[16384];
  const ssize_t got = recv(connection.fd.get(), bytes, sizeof bytes, MSG_DONTWAIT);
  if (got <= 0) return drop(connection.fd.get(), false);
  connection.input.append(bytes, static_cast<size_t>(got));
  const int fd = connection.fd.get();
  while (open_.count(fd) > 0 && take_request(connection)) {
  }
}

// One request out of the input; false when there is none or one is being answered.
bool SimpleOrigin::take_request(Connection& connection) {
  if (connection.is_answering) return false;
  const size_t end = connection.input.find("\r\n\r\n");
  if (end == std::string::npos) return false;
  size_t size = end + 4;
  const std::string head = lower(connection.input.substr(0, end + 2));
  if (const size_t at = head.find("\r\ncontent-length: "); at != std::string::npos) {
    size += std::strtoull(head.c_str() + at + 18, nullptr, 10);
  }
  if (connection.input.size() < size) return false;
  const bool is_probe = head.find(" /healthz ") < head.find("\r\n");
  const bool to_head = head.starts_with("head ");
  connection.input.erase(0, size);
  ++(is_probe ? probes_ : requests_);
  if (is_probe || delay_ms_ == 0) {
    answer(connection, is_probe, to_head);
    return true;
  }
  connection.is_answering = true;
  due_.emplace(Clock::now() + milliseconds(delay_ms_),
               Due{connection.fd.get(), connection.id, to_head});
  peak_ = std::max<size_t>(peak_, due_.size());
  return false;
}

void SimpleOrigin::answer_due() {
  while (!due_.empty() && due_.begin()->first <= Clock::now()) {
    const Due due = due_.begin()->second;
    due_.erase(due_.begin());
    const auto it = open_.find(due.fd);
    if (it == open_.end() || it->second->id != due.id) continue;
    it->second->is_answering = false;
    answer(*it->second, false, due.to_head);
    while (open_.count(due.fd) > 0 && take_request(*it->second)) {
    }
  }
}

void SimpleOrigin::answer(Connection& connection, bool is_probe, bool to_head) {
  const bool close = close_each_;
  std::string text = "HTTP/1.1 " + std::to_string(is_probe ? health_ : status_) +
                     " Text\r\nX-Origin: " + name_ + "\r\nX-Count: " + std::to_string(requests_) +
                     "\r\nContent-Length: " + std::to_string(body_.size()) +
                     (close ? "\r\nConnection: close" : "") + "\r\n\r\n" + (to_head ? "" : body_);
  const ssize_t sent = send(connection.fd.get(), text.data(), text.size(), MSG_NOSIGNAL);
  if (close || sent != static_cast<ssize_t>(text.size())) drop(connection.fd.get(), false);
}

void SimpleOrigin::drop(int fd, bool hard) {
  const auto it = open_.find(fd);
  if (it == open_.end()) return;
  if (hard) {
    const linger now{1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  }
  open_.erase(it);
}

}  // namespace e2e
