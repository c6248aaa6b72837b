// The process: one loop with a listener before the API, the store behind it, and signals.
//
// Owner: main(). TERM or INT: nothing more is accepted, what is in flight is answered, within 5 s;
// a second one ends it at once.
#pragma once

#include <memory>
#include <string>

#include "sluice/orders/options.h"

namespace sluice::orders {

class Server {
 public:
  explicit Server(ServeOptions options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Opens database and socket; "" or what is wrong, in one line.
  std::string start();
  // Where it listens, with the port that the kernel chose for port 0. After start().
  const std::string& address() const noexcept;
  // Serves until it was told to stop.
  void run();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sluice::orders
