#include "sluice/loop/resolver.h"

#include <netdb.h>
#include <uv.h>

#include <algorithm>

namespace sluice::loop {
namespace {

using Addresses = std::vector<SocketAddress>;
using Done = std::function<void(Result<Addresses>)>;

class PoolLookup;

// Owns itself until libuv calls back; its asker may have gone.
struct LookupRequest {
  uv_getaddrinfo_t uv;
  PoolLookup* asker;
};

Addresses collect(const addrinfo* list, uint16_t port) {
  Addresses addresses;
  for (const addrinfo* item = list; item != nullptr; item = item->ai_next) {
    if (item->ai_family != AF_INET && item->ai_family != AF_INET6) continue;
    SocketAddress address(item->ai_addr, item->ai_addrlen);
    address.set_port(port);
    if (std::find(addresses.begin(), addresses.end(), address) == addresses.end()) {
      addresses.push_back(address);
    }
  }
  return addresses;
}

class PoolLookup final : public Lookup, private Loop::TurnEnd {
 public:
  PoolLookup(Loop& loop, const std::string& host, uint16_t port, Done done)
      : port_(port), done_(std::move(done)) {
    if (auto numeric = SocketAddress::from_ip(host, port)) {
      numeric_.push_back(*numeric);
      loop.at_turn_end(*this);
      return;
    }
    request_ = new LookupRequest{{}, this};
    request_->uv.data = request_;
    addrinfo hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    status_ = uv_getaddrinfo(loop.uv(), &request_->uv, on_resolved, host.c_str(), nullptr, &hints);
    if (status_ < 0) {
      delete std::exchange(request_, nullptr);
      loop.at_turn_end(*this);
    }
  }
  ~PoolLookup() override {
    if (request_ == nullptr) return;
    request_->asker = nullptr;
    uv_cancel(reinterpret_cast<uv_req_t*>(&request_->uv));  // unless it runs already
  }

 private:
  static void on_resolved(uv_getaddrinfo_t* uv, int status, addrinfo* list) noexcept {
    std::unique_ptr<LookupRequest> request(static_cast<LookupRequest*>(uv->data));
    if (PoolLookup* self = request->asker) {
      self->request_ = nullptr;
      self->end(status, status < 0 ? Addresses() : collect(list, self->port_));
    }
    uv_freeaddrinfo(list);
  }

  void on_turn_end() noexcept override { end(status_, std::move(numeric_)); }

  void end(int status, Addresses addresses) noexcept {
    Done done = std::move(done_);  // it may destroy this
    if (status == 0 && addresses.empty()) status = UV_EAI_NODATA;
    if (status < 0) {
      done(Error(Errc::kDnsFailed, uv_strerror(status), status));
    } else {
      done(std::move(addresses));
    }
  }

  uint16_t port_;
  Done done_;
  LookupRequest* request_ = nullptr;
  Addresses numeric_;
  int status_ = 0;
};

}  // namespace

std::unique_ptr<Lookup> resolve(Loop& loop, const std::string& host, uint16_t port, Done done) {
  return std::make_unique<PoolLookup>(loop, host, port, std::move(done));
}

}  // namespace sluice::loop
