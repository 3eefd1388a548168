// SPDX-License-Identifier: Apache-2.0
//
// The configuration schema: each key is declared once, and parsing, range checks, documentation,
// dumps and JSON all come from that declaration.
//
// A settings struct is described by a Section<T>, which binds names to members:
//
//     Section<WalkerSettings> s;
//     s.integer("walkers", &WalkerSettings::walkers, {1, 256}, "", "Page walks that can run at once.");
//     s.check([](const WalkerSettings &w, CheckReport &report) { ... });
//
// Sections nest (`s.section`) and repeat in lists (`s.list`). Defaults are not written here: they
// are the initialisers of the struct, read from a default-constructed parent. A key that only some
// kinds of a section have says so with only_for(); the section's discriminator() key is the kind.
//
// Section<T> is the typed face; SectionSchema and KeySchema below are what the walkers use, with
// structs as void pointers. A void pointer given to a SectionSchema is always a T of its Section<T>.
#ifndef IOM_MODELS_CONFIG_SCHEMA_H
#define IOM_MODELS_CONFIG_SCHEMA_H

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <type_traits>

#include "models/config/scalar_codec.h"

namespace iommu_sim
{

/// What the walk over a file learnt about keys, for checks that compare several of them.
struct GivenKeys {
    std::map<std::string, Origin> values; ///< path of every map, list and value that was written
    std::set<std::string> broken;         ///< paths whose value was refused
};

/// Handed to checks; reports conflicts at a key of the section that is checked.
class CheckReport
{
  public:
    CheckReport(const GivenKeys &given, DiagnosticList &diagnostics, std::string section_path)
        : given_(given), diagnostics_(diagnostics), path_(std::move(section_path))
    {
    }

    /// Reports at the one of `keys` (relative to the section) that was written in the most overriding
    /// source - that is the one changed last - and among several of that source at the first; if all
    /// have their defaults, at the nearest enclosing map. Says nothing if one of the keys was refused
    /// already.
    void conflict(const std::vector<std::string> &keys, const std::string &message);

  private:
    const GivenKeys &given_;
    DiagnosticList &diagnostics_;
    std::string path_;
};

class SectionSchema;

/// One key: a scalar (codec set), a nested section, or a list of sections (section and list set).
struct KeySchema {
    std::string name;
    std::string unit;
    std::string description;
    std::function<void *(void *object)> member;
    std::shared_ptr<const ScalarCodec> codec;
    std::shared_ptr<const SectionSchema> section;
    bool is_list = false;
    bool is_required = false;
    bool is_discriminator = false;
    std::vector<std::string> kinds; ///< values of the discriminator that have this key; empty: all

    struct ListAccess {
        std::function<size_t(const void *list)> size;
        std::function<void *(void *list, size_t index)> at;
        std::function<void *(void *list)> append; ///< a default-constructed element
        std::function<std::shared_ptr<void>()> make_element;
        size_t maximum = 0;
    } list;

    const void *const_member(const void *object) const
    {
        return member(const_cast<void *>(object));
    }

    // Modifiers, chained to a declaration.
    KeySchema &only_for(std::vector<std::string> discriminator_values)
    {
        kinds = std::move(discriminator_values);
        return *this;
    }
    KeySchema &required()
    {
        is_required = true;
        return *this;
    }
    KeySchema &discriminator()
    {
        is_discriminator = true;
        return *this;
    }
};

class SectionSchema
{
  public:
    using Check = std::function<void(const void *object, CheckReport &report)>;

    const std::deque<KeySchema> &keys() const
    {
        return keys_;
    }
    const std::vector<Check> &checks() const
    {
        return checks_;
    }
    const KeySchema *find(const std::string &name) const;
    /// The key that selects the kind, or null.
    const KeySchema *discriminator() const;
    /// True if `key` exists for the kind that `object` has.
    bool applies(const KeySchema &key, const void *object) const;
    std::vector<std::string> names() const;

    // For Section<T>. Throws std::logic_error on a name declared twice.
    KeySchema &add(KeySchema key);
    void add_check(Check check)
    {
        checks_.push_back(std::move(check));
    }

  private:
    std::deque<KeySchema> keys_; ///< declaration order = order of dumps and documentation
    std::vector<Check> checks_;
};

template <class T> class Section
{
  public:
    template <class Base> KeySchema &boolean(const char *name, bool Base::*member, const char *description)
    {
        return scalar(name, member, std::make_shared<BooleanCodec>(), "", description);
    }
    template <class M, class Base>
    KeySchema &integer(const char *name, M Base::*member, Range range, const char *unit,
                       const char *description)
    {
        return number(name, member, range, NumberStyle::decimal, unit, description);
    }
    /// Bytes; binary suffixes are accepted.
    template <class M, class Base>
    KeySchema &size(const char *name, M Base::*member, Range range, const char *description)
    {
        return number(name, member, range, NumberStyle::size, "bytes", description);
    }
    /// Addresses and registers, shown in hexadecimal.
    template <class M, class Base>
    KeySchema &address(const char *name, M Base::*member, Range range, const char *description)
    {
        return number(name, member, range, NumberStyle::hex, "", description);
    }
    template <class M, class Base>
    KeySchema &optional_integer(const char *name, std::optional<M> Base::*member, Range range,
                                const char *unit, const char *description)
    {
        return scalar(name, member, std::make_shared<OptionalIntegerCodec<M>>(range, NumberStyle::decimal),
                      unit, description);
    }
    template <class Base>
    KeySchema &real(const char *name, double Base::*member, RealRange range, const char *unit,
                    const char *description)
    {
        return scalar(name, member, std::make_shared<RealCodec>(range), unit, description);
    }
    template <class Base>
    KeySchema &text(const char *name, std::string Base::*member, const char *description)
    {
        return scalar(name, member, std::make_shared<TextCodec>(), "", description);
    }
    template <class Base>
    KeySchema &source_id(const char *name, uint16_t Base::*member, const char *description)
    {
        return scalar(name, member, std::make_shared<SourceIdCodec>(), "", description);
    }
    /// `not_yet` names are known but refused as not available yet.
    template <class E, class Base>
    KeySchema &choice(const char *name, E Base::*member, std::vector<Choice<E>> choices,
                      const char *description, std::vector<std::string> not_yet = {})
    {
        auto codec = std::make_shared<ChoiceCodec<E>>(std::move(choices), std::move(not_yet));
        return scalar(name, member, codec, "", description);
    }
    template <class S, class Base>
    KeySchema &section(const char *name, S Base::*member, const Section<S> &inner, const char *description)
    {
        KeySchema key = declare(name, member, "", description);
        key.section = inner.schema();
        return schema_->add(std::move(key));
    }
    template <class S, class Base>
    KeySchema &list(const char *name, std::vector<S> Base::*member, const Section<S> &element, size_t maximum,
                    const char *description)
    {
        KeySchema key = declare(name, member, "", description);
        key.section = element.schema();
        key.is_list = true;
        key.list.maximum = maximum;
        key.list.size = [](const void *list) { return static_cast<const std::vector<S> *>(list)->size(); };
        key.list.at = [](void *list, size_t index) -> void * {
            return &(*static_cast<std::vector<S> *>(list))[index];
        };
        key.list.append = [](void *list) -> void * {
            return &static_cast<std::vector<S> *>(list)->emplace_back();
        };
        key.list.make_element = [] { return std::make_shared<S>(); };
        return schema_->add(std::move(key));
    }
    /// Called with the finished struct, after all keys of all sections were read.
    void check(std::function<void(const T &, CheckReport &)> check)
    {
        schema_->add_check([check = std::move(check)](const void *object, CheckReport &report) {
            check(*static_cast<const T *>(object), report);
        });
    }

    std::shared_ptr<const SectionSchema> schema() const
    {
        return schema_;
    }

  private:
    template <class M, class Base>
    KeySchema declare(const char *name, M Base::*member, const char *unit, const char *description)
    {
        static_assert(std::is_base_of_v<Base, T>, "the member belongs to another struct");
        KeySchema key;
        key.name = name;
        key.unit = unit;
        key.description = description;
        key.member = [member](void *object) -> void * { return &(static_cast<T *>(object)->*member); };
        return key;
    }
    template <class M, class Base>
    KeySchema &scalar(const char *name, M Base::*member, std::shared_ptr<const ScalarCodec> codec,
                      const char *unit, const char *description)
    {
        KeySchema key = declare(name, member, unit, description);
        key.codec = std::move(codec);
        return schema_->add(std::move(key));
    }
    template <class M, class Base>
    KeySchema &number(const char *name, M Base::*member, Range range, NumberStyle style, const char *unit,
                      const char *description)
    {
        return scalar(name, member, std::make_shared<IntegerCodec<M>>(range, style), unit, description);
    }

    std::shared_ptr<SectionSchema> schema_ = std::make_shared<SectionSchema>();
};

/// Sets the members of `object` from `map`. Reports unknown, missing, misplaced and refused keys,
/// and records in `given` what was written. `path` is the section's own path, empty at the root.
/// With `partial`, missing required keys are not reported (a file of the load was unreadable).
void read_section(const SectionSchema &schema, void *object, const ValueNode &map, const std::string &path,
                  bool partial, GivenKeys &given, DiagnosticList &diagnostics);

/// Runs the checks of a section and of everything in it.
void check_section(const SectionSchema &schema, const void *object, const std::string &path,
                   const GivenKeys &given, DiagnosticList &diagnostics);

/// Every key as YAML, one per line, with unit, range and description as comments.
std::string dump_section(const SectionSchema &schema, const void *object);

/// Every key as JSON, in declaration order.
nlohmann::ordered_json section_json(const SectionSchema &schema, const void *object);

/// Markdown: one table of keys per section, with the defaults of `defaults`.
std::string document_section(const SectionSchema &schema, const void *defaults);

/// "a" + "b" = "a.b"; an empty parent adds no dot.
std::string join_path(const std::string &parent, const std::string &name);

} // namespace iommu_sim

#endif
