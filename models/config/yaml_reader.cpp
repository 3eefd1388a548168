// SPDX-License-Identifier: Apache-2.0
//
// Strict reading of YAML into a value tree, on the events of yaml-cpp's parser.
//
// Events rather than YAML::Node because they keep what the node interface loses: duplicate keys,
// the position of an alias (not only of its anchor), quoting, and whether a second document
// follows. Anchors and aliases work within a file. Tags and merge keys (<<) are refused: the
// former would change how a value is read, the latter hide where it came from; `include` and
// aliases cover their uses.
#include <exception>
#include <map>
#include <sstream>

#include "models/config/value_tree.h"
#include "yaml-cpp/eventhandler.h"
#include "yaml-cpp/exceptions.h"
#include "yaml-cpp/parser.h"

namespace iommu_sim
{
namespace
{

/// Nodes one file may expand to; nested aliases multiply, and no real configuration comes near.
constexpr size_t max_nodes = 500'000;

size_t count_nodes(const ValueNode &node)
{
    size_t count = 1;
    for (const ValueNode &item : node.items)
        count += count_nodes(item);
    for (const MapEntry &entry : node.entries)
        count += count_nodes(entry.value);
    return count;
}

/// Thrown through yaml-cpp to stop at a mistake after which the rest makes no sense; caught below.
struct StopParsing : std::exception {
};

class TreeBuilder : public YAML::EventHandler
{
  public:
    TreeBuilder(uint32_t source, DiagnosticList &diagnostics) : source_(source), diagnostics_(diagnostics)
    {
    }

    std::optional<ValueNode> take()
    {
        return std::move(root_);
    }

    void OnDocumentStart(const YAML::Mark &) override
    {
        frames_.clear();
        anchors_.clear();
    }
    void OnDocumentEnd() override
    {
    }

    void OnNull(const YAML::Mark &mark, YAML::anchor_t anchor) override
    {
        complete(make(ValueNode::Kind::null, mark), anchor);
    }

    void OnAlias(const YAML::Mark &mark, YAML::anchor_t anchor) override
    {
        const auto found = anchors_.find(anchor);
        if (found == anchors_.end())
            stop(mark, "the alias refers to a value it is part of");
        nodes_ += count_nodes(found->second);
        ValueNode copy = found->second;
        copy.origin = origin(mark);
        complete(std::move(copy), 0);
    }

    void OnScalar(const YAML::Mark &mark, const std::string &tag, YAML::anchor_t anchor,
                  const std::string &value) override
    {
        refuse_tag(mark, tag);
        // yaml-cpp 0.7 expands \_ and \N to single bytes of Latin-1.
        if (!is_utf8(value))
            stop(mark,
                 "an escape in this text (\\_ or \\N) gives a byte that is not UTF-8; write the character");
        ValueNode node = make(ValueNode::Kind::scalar, mark);
        node.text = value;
        node.quoted = tag == "!";
        complete(std::move(node), anchor);
    }

    void OnSequenceStart(const YAML::Mark &mark, const std::string &tag, YAML::anchor_t anchor,
                         YAML::EmitterStyle::value) override
    {
        refuse_tag(mark, tag);
        frames_.push_back({make(ValueNode::Kind::list, mark), anchor, std::nullopt});
    }
    void OnSequenceEnd() override
    {
        close_frame();
    }

    void OnMapStart(const YAML::Mark &mark, const std::string &tag, YAML::anchor_t anchor,
                    YAML::EmitterStyle::value) override
    {
        refuse_tag(mark, tag);
        frames_.push_back({make(ValueNode::Kind::map, mark), anchor, std::nullopt});
    }
    void OnMapEnd() override
    {
        close_frame();
    }

  private:
    struct Frame {
        ValueNode node;
        YAML::anchor_t anchor;
        std::optional<MapEntry> pending; ///< a map's key that waits for its value
    };

    Origin origin(const YAML::Mark &mark) const
    {
        return {source_, static_cast<uint32_t>(mark.line + 1), static_cast<uint32_t>(mark.column + 1)};
    }

    ValueNode make(ValueNode::Kind kind, const YAML::Mark &mark)
    {
        if (++nodes_ > max_nodes)
            stop(mark, "the file has more than " + std::to_string(max_nodes) + " values");
        ValueNode node;
        node.kind = kind;
        node.origin = origin(mark);
        return node;
    }

    [[noreturn]] void stop(const YAML::Mark &mark, const std::string &message)
    {
        diagnostics_.add(origin(mark), "", message);
        throw StopParsing();
    }

    /// yaml-cpp reports "?" for plain and "!" for quoted scalars and an empty tag for collections.
    void refuse_tag(const YAML::Mark &mark, const std::string &tag)
    {
        if (!tag.empty() && tag != "?" && tag != "!")
            diagnostics_.add(origin(mark), "", "YAML tags are not supported; remove the tag");
    }

    void close_frame()
    {
        Frame frame = std::move(frames_.back());
        frames_.pop_back();
        complete(std::move(frame.node), frame.anchor);
    }

    void complete(ValueNode node, YAML::anchor_t anchor)
    {
        if (nodes_ > max_nodes) {
            diagnostics_.add(node.origin, "",
                             "aliases expand to more than " + std::to_string(max_nodes) + " values");
            throw StopParsing();
        }
        if (anchor != 0)
            anchors_[anchor] = node;
        if (frames_.empty()) {
            root_ = std::move(node);
            return;
        }
        Frame &parent = frames_.back();
        // The parser places a value that is not there at whatever comes next, lines later.
        if (node.kind == ValueNode::Kind::null)
            node.origin = parent.pending ? parent.pending->origin : parent.node.origin;
        if (parent.node.kind == ValueNode::Kind::list) {
            parent.node.items.push_back(std::move(node));
        } else if (!parent.pending) {
            parent.pending = make_key(node);
        } else {
            parent.pending->value = std::move(node);
            add_entry(parent.node, std::move(*parent.pending));
            parent.pending.reset();
        }
    }

    MapEntry make_key(const ValueNode &node)
    {
        MapEntry entry;
        entry.origin = node.origin;
        if (node.kind != ValueNode::Kind::scalar) {
            diagnostics_.add(node.origin, "", "a key must be a name");
            throw StopParsing();
        }
        entry.key = node.text;
        return entry;
    }

    std::string path_of(const std::string &key) const
    {
        std::string path;
        for (size_t i = 0; i < frames_.size(); i++) {
            const Frame &frame = frames_[i];
            if (frame.node.kind == ValueNode::Kind::list)
                path += "[" + std::to_string(frame.node.items.size()) + "]";
            else if (i + 1 < frames_.size())
                path += (path.empty() ? "" : ".") + frame.pending->key;
        }
        return path + (path.empty() ? "" : ".") + key;
    }

    void add_entry(ValueNode &map, MapEntry entry)
    {
        if (entry.key == "<<") {
            diagnostics_.add(entry.origin, path_of(entry.key),
                             "merge keys are not supported; use include or an alias of the whole value");
            return;
        }
        if (const MapEntry *first = map.find(entry.key); first != nullptr) {
            diagnostics_.add(entry.origin, path_of(entry.key),
                             "duplicate key (first given at line " + std::to_string(first->origin.line) +
                                 ", column " + std::to_string(first->origin.column) + ")");
            return;
        }
        map.entries.push_back(std::move(entry));
    }

    uint32_t source_;
    DiagnosticList &diagnostics_;
    size_t nodes_ = 0;
    std::optional<ValueNode> root_;
    std::vector<Frame> frames_;
    std::map<YAML::anchor_t, ValueNode> anchors_;
};

/// Where a second document starts is not in the events that announce it, so it is found by its
/// content; the rest of the file is not read.
class SecondDocument : public YAML::EventHandler
{
  public:
    std::optional<YAML::Mark> start;

    void OnDocumentStart(const YAML::Mark &mark) override
    {
        start = mark;
        throw StopParsing();
    }
    void OnDocumentEnd() override
    {
    }
    void OnNull(const YAML::Mark &, YAML::anchor_t) override
    {
    }
    void OnAlias(const YAML::Mark &, YAML::anchor_t) override
    {
    }
    void OnScalar(const YAML::Mark &, const std::string &, YAML::anchor_t, const std::string &) override
    {
    }
    void OnSequenceStart(const YAML::Mark &, const std::string &, YAML::anchor_t,
                         YAML::EmitterStyle::value) override
    {
    }
    void OnSequenceEnd() override
    {
    }
    void OnMapStart(const YAML::Mark &, const std::string &, YAML::anchor_t,
                    YAML::EmitterStyle::value) override
    {
    }
    void OnMapEnd() override
    {
    }
};

void refuse_second_document(YAML::Parser &parser, uint32_t source, DiagnosticList &diagnostics)
{
    SecondDocument second;
    try {
        parser.HandleNextDocument(second);
    } catch (const StopParsing &) {
        diagnostics.add({source, static_cast<uint32_t>(second.start->line + 1),
                         static_cast<uint32_t>(second.start->column + 1)},
                        "", "a second YAML document begins here; a configuration is one document");
    }
}

/// Tabs are the most frequent reason of an error that the parser describes as something else.
std::string tab_hint(const std::string &text, int line)
{
    size_t start = 0;
    for (int i = 0; i < line && start != std::string::npos; i++) {
        start = text.find('\n', start);
        start = start == std::string::npos ? start : start + 1;
    }
    if (start == std::string::npos)
        return "";
    const size_t end = text.find_first_not_of(" \t", start);
    return text.substr(start, end - start).find('\t') == std::string::npos ? ""
                                                                           : "; indent with spaces, not tabs";
}

void add_syntax_error(const YAML::Exception &error, const std::string &text, uint32_t source,
                      DiagnosticList &diagnostics)
{
    if (error.mark.is_null()) {
        diagnostics.add({source, 0, 0}, "", "YAML syntax: " + error.msg);
        return;
    }
    const Origin origin{source, static_cast<uint32_t>(error.mark.line + 1),
                        static_cast<uint32_t>(error.mark.column + 1)};
    diagnostics.add(origin, "", "YAML syntax: " + error.msg + tab_hint(text, error.mark.line));
}

} // namespace

std::optional<ValueNode> parse_yaml(const std::string &text, uint32_t source, DiagnosticList &diagnostics)
{
    constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
    const bool marked = text.compare(0, byte_order_mark.size(), byte_order_mark) == 0;
    const std::string body = marked ? text.substr(byte_order_mark.size()) : text;
    if (const auto bad = find_invalid_text(body)) {
        diagnostics.add({source, bad->line, bad->column}, "",
                        "not UTF-8 text (or a control character); save the file as UTF-8");
        return std::nullopt;
    }
    TreeBuilder builder(source, diagnostics);
    try {
        std::istringstream stream(body);
        YAML::Parser parser(stream);
        parser.HandleNextDocument(builder);
        refuse_second_document(parser, source, diagnostics);
    } catch (const StopParsing &) {
        return std::nullopt;
    } catch (const YAML::Exception &error) {
        add_syntax_error(error, body, source, diagnostics);
        return std::nullopt;
    } catch (const std::exception &error) {
        diagnostics.add({source, 0, 0}, "", std::string("YAML parser: ") + error.what());
        return std::nullopt;
    }
    return builder.take();
}

std::optional<ValueNode> parse_setting_value(const std::string &text, uint32_t source,
                                             DiagnosticList &diagnostics)
{
    if (find_invalid_text(text)) {
        diagnostics.add({source, 0, 0}, "", "the value is not UTF-8 text");
        return std::nullopt;
    }
    if (!text.empty() && std::string_view("[{\"'").find(text[0]) != std::string_view::npos)
        return parse_yaml(text, source, diagnostics);
    ValueNode node;
    node.origin = {source, 0, 0};
    node.kind = text == "~" || text == "null" ? ValueNode::Kind::null : ValueNode::Kind::scalar;
    node.text = text;
    return node;
}

} // namespace iommu_sim
