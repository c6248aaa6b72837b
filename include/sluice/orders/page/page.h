// The page of the shop: what GET / answers, with its style and its script. Texts of the program;
// the page asks nothing but the origin that it came from, so that it works behind any proxy.
#pragma once

#include <string_view>

#include "sluice/proxy/handler.h"

namespace sluice::orders {

enum class PagePart : uint8_t { html, css, js };

proxy::HandlerReply page_reply(PagePart part);

// One file each.
std::string_view page_html() noexcept;
std::string_view page_css() noexcept;
std::string_view page_js() noexcept;

}  // namespace sluice::orders
