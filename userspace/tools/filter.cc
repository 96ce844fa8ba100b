// SPDX-License-Identifier: GPL-2.0
// Filters of sluice ss: tokens, then recursive descent along the grammar in filter.h.
#include "filter.h"

#include "address_pattern.h"
#include "failure.h"
#include "states.h"
#include "wire.h"

#include <charconv>
#include <map>
#include <string>
#include <vector>

namespace sluice
{

namespace
{

// ---- tokens ---------------------------------------------------------------------

std::vector<std::string> tokens_of(std::string_view text)
{
    static constexpr std::string_view operators = "()!&|=<>";
    std::vector<std::string> tokens;
    while (!text.empty()) {
        size_t length = 1;
        if (std::isspace(static_cast<unsigned char>(text[0]))) {
            text.remove_prefix(1);
            continue;
        }
        if (operators.find(text[0]) == operators.npos) {
            length = text.find_first_of("()!&|=<> \t\n");
        } else if (text.size() > 1 && text[0] != '(' && text[0] != ')') {
            bool doubled = text[1] == text[0] && text[0] != '!' && text[0] != '<' && text[0] != '>';
            bool with_equal = text[1] == '=' && text[0] != '&' && text[0] != '|';
            length = doubled || with_equal ? 2 : 1;
        }
        tokens.emplace_back(text.substr(0, length));
        text.remove_prefix(std::min(length, text.size()));
    }
    return tokens;
}

enum class Operator { Equal, NotEqual, Less, LessEqual, Greater, GreaterEqual };

const std::map<std::string_view, Operator> operators = {
    {"=", Operator::Equal},          {"==", Operator::Equal},        {"eq", Operator::Equal},
    {"!=", Operator::NotEqual},      {"ne", Operator::NotEqual},     {"neq", Operator::NotEqual},
    {"<", Operator::Less},           {"lt", Operator::Less},         {"<=", Operator::LessEqual},
    {"le", Operator::LessEqual},     {"leq", Operator::LessEqual},   {">", Operator::Greater},
    {"gt", Operator::Greater},       {">=", Operator::GreaterEqual}, {"ge", Operator::GreaterEqual},
    {"geq", Operator::GreaterEqual},
};

bool compare(uint64_t left, Operator op, uint64_t right)
{
    switch (op) {
    case Operator::Equal:
        return left == right;
    case Operator::NotEqual:
        return left != right;
    case Operator::Less:
        return left < right;
    case Operator::LessEqual:
        return left <= right;
    case Operator::Greater:
        return left > right;
    default:
        return left >= right;
    }
}

// ---- grammar -----------------------------------------------------------------------

class Parser
{
public:
    explicit Parser(std::string_view text) : tokens_(tokens_of(text)) {}

    Filter parse()
    {
        Filter filter;
        filter.matches = tokens_.empty() ? [](const sluice_socket&) { return true; } : expression();
        if (at_ < tokens_.size())
            throw usage_error(fmt::format("filter: '{}' is not expected", tokens_[at_]));
        filter.names_states = names_states_;
        return filter;
    }

private:
    bool next_is(std::string_view token) const
    {
        return at_ < tokens_.size() && tokens_[at_] == token;
    }

    bool take(std::initializer_list<std::string_view> spellings)
    {
        for (std::string_view token : spellings) {
            if (next_is(token)) {
                at_++;
                return true;
            }
        }
        return false;
    }

    const std::string& take_word(const char* what)
    {
        if (at_ == tokens_.size())
            throw usage_error(fmt::format("filter: {} is missing at the end", what));
        return tokens_[at_++];
    }

    Predicate expression()
    {
        Predicate left = term();
        while (take({"or", "|", "||"})) {
            left = [left, right = term()](const sluice_socket& s) { return left(s) || right(s); };
        }
        return left;
    }

    bool term_ends() const
    {
        return at_ == tokens_.size() || next_is(")") || next_is("or") || next_is("|") ||
               next_is("||");
    }

    Predicate term()
    {
        Predicate left = factor();
        while (take({"and", "&", "&&"}) || !term_ends()) {
            left = [left, right = factor()](const sluice_socket& s) { return left(s) && right(s); };
        }
        return left;
    }

    Predicate factor()
    {
        if (++depth_ > 100)
            throw usage_error("filter: nested too deeply");
        Predicate result;
        if (take({"not", "!"})) {
            result = [negated = factor()](const sluice_socket& s) { return !negated(s); };
        } else if (take({"("})) {
            result = expression();
            if (!take({")"}))
                throw usage_error("filter: ')' is missing");
        } else {
            result = condition();
        }
        depth_--;
        return result;
    }

    Predicate condition()
    {
        std::string word = take_word("a condition");
        if (word == "sport" || word == "dport")
            return port_condition(word == "sport");
        if (word == "src" || word == "dst")
            return address_condition(word == "src");
        if (word == "state" || word == "exclude")
            return state_condition(word == "state");
        if (word == "uid")
            return uid_condition();
        if (word == "wire")
            return wire_condition();
        throw usage_error(fmt::format(
            "filter: '{}': sport, dport, src, dst, state, exclude, uid or wire is wanted", word));
    }

    Operator take_operator(bool ordered)
    {
        auto found = at_ < tokens_.size() ? operators.find(tokens_[at_]) : operators.end();
        if (found == operators.end())
            return Operator::Equal;
        if (!ordered && found->second != Operator::Equal && found->second != Operator::NotEqual)
            throw usage_error(fmt::format("filter: only = and != here, not '{}'", tokens_[at_]));
        at_++;
        return found->second;
    }

    Predicate port_condition(bool local)
    {
        Operator op = take_operator(true);
        std::string_view text = take_word("a port");
        if (text.starts_with("*:"))
            text.remove_prefix(2);
        else if (text.starts_with(':'))
            text.remove_prefix(1);
        uint16_t port = parse_port(text);
        return [=](const sluice_socket& s) {
            return compare(ntohs(local ? s.msg.id.sport : s.msg.id.dport), op, port);
        };
    }

    Predicate address_condition(bool local)
    {
        Operator op = take_operator(false);
        auto pattern = AddressPattern::parse(take_word("an address"));
        return [=](const sluice_socket& s) {
            const sluice_diag_id& id = s.msg.id;
            bool same =
                local ? pattern.matches(id.src, id.sport) : pattern.matches(id.dst, id.dport);
            return same == (op == Operator::Equal);
        };
    }

    Predicate state_condition(bool included)
    {
        uint32_t states = parse_states(take_word("a state"));
        names_states_ = true;
        return [=](const sluice_socket& s) {
            return ((states & state_bit(s.msg.state)) != 0) == included;
        };
    }

    Predicate uid_condition()
    {
        Operator op = take_operator(false);
        const std::string& text = take_word("a user's number");
        uint32_t uid = 0;
        auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), uid);
        if (error != std::errc() || end != text.data() + text.size())
            throw usage_error(fmt::format("filter: '{}' is no user's number", text));
        return [=](const sluice_socket& s) { return compare(s.msg.uid, op, uid); };
    }

    Predicate wire_condition()
    {
        Operator op = take_operator(false);
        const std::string& name = take_word("a wire");
        if (name != "native" && name != "tcp")
            throw usage_error(fmt::format("filter: '{}': a wire is native or tcp", name));
        return [=](const sluice_socket& s) {
            return (wire_name(s) == name) == (op == Operator::Equal);
        };
    }

    std::vector<std::string> tokens_;
    size_t at_ = 0;
    unsigned depth_ = 0;
    bool names_states_ = false;
};

} // namespace

Filter parse_filter(std::string_view text)
{
    return Parser(text).parse();
}

} // namespace sluice
