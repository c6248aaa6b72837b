#include "tests/e2e/harness/origin.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>

namespace e2e {

namespace {

// The connection ended where a request might have begun.
struct NoMoreRequests {};

}  // namespace

// Connections -------------------------------------------------------------------------------------

void OriginConn::expect_begin() {
  if (!is_readable(kPatience * 4)) throw NoMoreRequests{};
  char byte;
  const ssize_t got = recv(fd(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (got <= 0) throw NoMoreRequests{};
}

Message OriginConn::expect_request() {
  expect_begin();
  Message request = read_request();
  origin_.record(request);
  return request;
}

Message OriginConn::expect_head() {
  expect_begin();
  Message request = read_head();
  origin_.record(request);
  return request;
}

void OriginConn::reply(const std::string& body, const std::string& lines) {
  send(answer(200, body, lines));
}

void OriginConn::serve(const std::function<std::string(const Message&)>& answer) {
  for (;;) {
    if (!try_send(answer(expect_request()))) return;
  }
}

// The origin --------------------------------------------------------------------------------------

Origin::Origin(Script script) : script_(std::move(script)) {
  Listening listening = listen_on_loopback();
  listening_ = std::move(listening.fd);
  port_ = listening.port;
  acceptor_ = std::thread([this] { accept_loop(); });
}

Origin::~Origin() {
  stop();
  {
    std::lock_guard lock(mutex_);
    for (const int fd : open_fds_) shutdown(fd, SHUT_RDWR);
  }
  for (std::thread& thread : threads_) thread.join();
  if (ignore_failures_) return;
  const std::string failed = failures();
  CHECK_MESSAGE(failed.empty(), "origin: " << failed);
}

void Origin::stop() {
  stopping_ = true;
  if (!acceptor_.joinable()) return;
  acceptor_.join();
  listening_.close();
}

void Origin::accept_loop() {
  while (!stopping_) {
    pollfd ready{listening_.get(), POLLIN, 0};
    if (poll(&ready, 1, 20) <= 0) continue;
    Fd fd(accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!fd.is_open()) continue;
    const int one = 1;
    setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    std::lock_guard lock(mutex_);
    open_fds_.push_back(fd.get());
    threads_.emplace_back(
        [this, index = connections_++, taken = fd.release()] { serve_one(Fd(taken), index); });
  }
}

void Origin::serve_one(Fd fd, size_t index) {
  const int number = fd.get();
  OriginConn connection(*this, std::move(fd), index);
  std::string failed;
  try {
    script_(connection);
  } catch (const NoMoreRequests&) {
  } catch (const std::exception& failure) {
    failed = "connection " + std::to_string(index) + ": " + failure.what() + "; ";
  }
  std::lock_guard lock(mutex_);
  if (!stopping_) failures_ += failed;
  open_fds_.erase(std::find(open_fds_.begin(), open_fds_.end(), number));
  connection.close();
}

void Origin::record(const Message& request) {
  std::lock_guard lock(mutex_);
  requests_.push_back(request);
}

std::vector<Message> Origin::requests() {
  std::lock_guard lock(mutex_);
  return requests_;
}

void Origin::wait_for_requests(size_t count) {
  if (!eventually([&] { return requests().size() >= count; })) {
    throw Failure("the origin got only " + std::to_string(requests().size()) + " requests");
  }
}

Message Origin::request(size_t index) {
  wait_for_requests(index + 1);
  return requests()[index];
}

std::string Origin::failures() {
  std::lock_guard lock(mutex_);
  return failures_;
}

std::string answer(int status, const std::string& body, const std::string& lines) {
  return "HTTP/1.1 " + std::to_string(status) + " Text\r\n" + lines +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

RefusingPort::RefusingPort() {
  fd_ = Fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (bind(fd_.get(), generic, size) != 0 || getsockname(fd_.get(), generic, &size) != 0) {
    throw Failure("bind failed");
  }
  port_ = ntohs(address.sin_port);
}

}  // namespace e2e
