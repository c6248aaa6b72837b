#include "sluice/stats/prometheus.h"

#include <fmt/format.h>

#include <cmath>

#include "sluice/base/check.h"

namespace sluice::stats {

namespace {

std::string_view to_text(MetricType type) noexcept {
  switch (type) {
    case MetricType::counter:
      return "counter";
    case MetricType::gauge:
      return "gauge";
    case MetricType::histogram:
      return "histogram";
  }
  return "untyped";
}

std::string number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  return fmt::format("{}", value);
}

// The length of the UTF-8 sequence that `text` starts with (RFC 3629 section 4), or 0.
size_t utf8_length(std::string_view text) noexcept {
  const auto byte = [text](size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  const auto is_tail = [byte](size_t i) { return (byte(i) & 0xC0) == 0x80; };
  const unsigned first = byte(0), second = byte(1);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return is_tail(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    const bool is_overlong = first == 0xE0 && second < 0xA0;
    const bool is_surrogate = first == 0xED && second > 0x9F;
    return is_tail(1) && is_tail(2) && !is_overlong && !is_surrogate ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const bool is_overlong = first == 0xF0 && second < 0x90;
    const bool is_too_large = first == 0xF4 && second > 0x8F;
    return is_tail(1) && is_tail(2) && is_tail(3) && !is_overlong && !is_too_large ? 4 : 0;
  }
  return 0;
}

// A single bad byte would make Prometheus refuse the whole page.
void append_escaped(std::string& out, std::string_view text, bool is_label) {
  while (!text.empty()) {
    const size_t length = utf8_length(text);
    const char c = text.front();
    if (length == 0) {
      out += "\xEF\xBF\xBD";  // U+FFFD
    } else if (c == '\\') {
      out += "\\\\";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '"' && is_label) {
      out += "\\\"";
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
}

std::string to_text(Labels labels) {
  std::string out;
  for (const Label& label : labels) {
    if (!out.empty()) out += ',';
    out.append(label.name).append("=\"");
    append_escaped(out, label.value, true);
    out += '"';
  }
  return out;
}

}  // namespace

void PrometheusWriter::family(std::string_view name, MetricType type, std::string_view help) {
  family_ = name;
  SL_CHECK(seen_.insert(family_).second);  // Prometheus refuses a page with a family twice
  out_.append("# HELP ").append(name).append(" ");
  append_escaped(out_, help, false);
  out_.append("\n# TYPE ").append(name).append(" ").append(to_text(type)).append("\n");
}

void PrometheusWriter::sample(Labels labels, uint64_t value) {
  line("", to_text(labels), fmt::to_string(value));
}

void PrometheusWriter::sample(Labels labels, int64_t value) {
  line("", to_text(labels), fmt::to_string(value));
}

void PrometheusWriter::sample(Labels labels, double value) {
  line("", to_text(labels), number(value));
}

void PrometheusWriter::sample_raw(std::string_view labels, uint64_t value) {
  line("", labels, fmt::to_string(value));
}

void PrometheusWriter::histogram(Labels labels, const HistogramSnapshot& snapshot) {
  histogram_raw(to_text(labels), snapshot);
}

void PrometheusWriter::histogram_raw(std::string_view labels, const HistogramSnapshot& snapshot) {
  const std::string before_le = labels.empty() ? "" : std::string(labels) + ",";
  const auto counts = snapshot.cumulative();
  for (size_t i = 0; i < counts.size(); ++i) {
    line("_bucket", fmt::format("{}le=\"{}\"", before_le, kExportBounds[i]),
         fmt::to_string(counts[i]));
  }
  const std::string count = fmt::to_string(snapshot.count());
  line("_bucket", before_le + "le=\"+Inf\"", count);
  line("_sum", labels, number(to_seconds(snapshot.sum())));
  line("_count", labels, count);
}

void PrometheusWriter::line(std::string_view suffix, std::string_view labels,
                            std::string_view value) {
  SL_CHECK(!family_.empty());
  out_.append(family_).append(suffix);
  if (!labels.empty()) out_.append("{").append(labels).append("}");
  out_.append(" ").append(value).append("\n");
}

}  // namespace sluice::stats
