#include "sluice/orders/kafka/kafka_url.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "sluice/base/address.h"
#include "sluice/base/strings.h"

namespace sluice::orders {
namespace {

constexpr std::string_view kScheme = "kafka://";
constexpr size_t kLongestName = 249;  // what Kafka takes for a topic; a folder bears its name

bool is_word(std::string_view text, std::string_view more) noexcept {
  return !text.empty() && std::ranges::all_of(text, [more](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           more.find(c) != std::string_view::npos;
  });
}

// Topics and groups; Kafka itself is less strict with groups.
bool is_name(std::string_view text) noexcept {
  return is_word(text, "._-") && text.size() <= kLongestName && text != "." && text != "..";
}

bool is_host(std::string_view text) noexcept {
  if (text.size() > 2 && text.front() == '[' && text.back() == ']') {
    return SocketAddress::from_ip(text.substr(1, text.size() - 2), 0).has_value();
  }
  return is_word(text, ".-_") && text.size() <= 253;
}

std::string broker_problem(std::string_view broker) {
  const size_t colon = broker.rfind(':');
  const bool has_port = colon != std::string_view::npos && !broker.ends_with(']');
  const auto port = has_port ? parse_decimal(broker.substr(colon + 1)) : std::nullopt;
  if (!port || *port < 1 || *port > 65535)
    return "each broker needs a port, as in kafka.local:9092";
  if (!is_host(broker.substr(0, colon))) return "a broker is not HOST:PORT or [IPV6]:PORT";
  return {};
}

std::string read_number(std::string_view value, int most, std::string_view name, int& number) {
  const auto read = parse_decimal(value);
  if (!read || *read < 1 || *read > static_cast<uint64_t>(most)) {
    return fmt::format("{} is not 1..{}", name, most);
  }
  number = static_cast<int>(*read);
  return {};
}

std::string read_option(std::string_view name, std::string_view value, KafkaAddress& address) {
  if (name == "partitions") return read_number(value, 1000, name, address.partitions);
  if (name == "replicas") return read_number(value, 100, name, address.replicas);
  if (name != "group") return "only partitions, replicas and group may stand after the ?";
  if (!is_name(value)) return "group is not 1..249 letters, digits, '.', '_' or '-'";
  address.group = value;
  return {};
}

std::string read_options(std::string_view query, KafkaAddress& address) {
  std::vector<std::string_view> seen;
  for (std::string_view part : split(query, '&')) {
    const size_t equals = std::min(part.find('='), part.size());
    const std::string_view name = part.substr(0, equals);
    const std::string_view value = part.substr(std::min(equals + 1, part.size()));
    if (std::string problem = read_option(name, value, address); !problem.empty()) return problem;
    if (std::ranges::find(seen, name) != seen.end()) return fmt::format("{} stands twice", name);
    seen.push_back(name);
  }
  return {};
}

}  // namespace

bool is_kafka_url(std::string_view url) noexcept { return url.starts_with(kScheme); }

KafkaUrl parse_kafka_url(std::string_view url) {
  KafkaUrl parsed;
  KafkaAddress& address = parsed.address;
  const auto wrong = [&parsed](std::string what) {
    parsed.problem = std::move(what);
    return parsed;
  };
  if (!is_kafka_url(url)) return wrong("it is not kafka://HOST:PORT/TOPIC");
  url.remove_prefix(kScheme.size());
  const size_t mark = url.find('?');
  const std::string_view place = url.substr(0, mark);
  const size_t slash = std::min(place.find('/'), place.size());
  const std::string_view brokers = place.substr(0, slash);
  if (place.find('@') != std::string_view::npos) {
    return wrong("user and password are not supported; take brokers that need none");
  }
  for (std::string_view broker : split(brokers, ',')) {
    if (std::string problem = broker_problem(broker); !problem.empty()) return wrong(problem);
  }
  const std::string_view topic = place.substr(std::min(slash + 1, place.size()));
  if (topic.empty()) return wrong("the topic is missing: kafka://HOST:PORT/TOPIC");
  if (!is_name(topic)) return wrong("the topic is not 1..249 letters, digits, '.', '_' or '-'");
  address.brokers = brokers;
  address.topic = topic;
  address.text = fmt::format("{}{}/{}", kScheme, brokers, topic);
  if (mark != std::string_view::npos) {
    return wrong(read_options(url.substr(mark + 1), address));  // "" when nothing is
  }
  return parsed;
}

}  // namespace sluice::orders
