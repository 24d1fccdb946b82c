/* onnx_infer for C++17 and up: a header over onnx_infer.h that owns handles and turns failures into exceptions.
 *
 *   onnx_infer::Context net = onnx_infer::Context::open("model.onnx");
 *   std::vector<float> x(3 * 224 * 224);
 *   onnx_infer::Value y = net.run1(onnx_infer::Tensor::wrap(x, {1, 3, 224, 224}));
 *   for (float v : y.data<float>()) ...
 *
 * Failures: functions that can fail return outcome<T>. That is T itself, and a failure throws onnx_infer::error; without
 * exceptions (-fno-exceptions, or ONNX_INFER_NO_EXCEPTIONS defined) it is result<T>, which holds a T or an error and is to
 * be looked at first. Setters of Options and RunOptions return the object in both cases; without exceptions they keep
 * the first error, which the call that takes the object returns.
 *
 * Ownership: Model, Plan, Pool and Value are references, cheap to copy; Context, Options, RunOptions, Cancel and Profile are
 * moved. Text and spans are borrowed from the object that gave them. Threads: as in onnx_infer.h. get() gives the
 * C handle, for calls that mix both; onnx_infer.h has the contract of each function.
 */
#ifndef ONNX_INFER_HPP
#define ONNX_INFER_HPP

#include <onnx_infer.h>

#include <chrono>
#include <complex>
#include <cstddef>
#include <cstdint>
#include <future>
#include <initializer_list>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>
#if defined(__has_include) && __cplusplus >= 202002L
#if __has_include(<span>)
#include <span>
#endif
#endif

#if !defined(ONNX_INFER_NO_EXCEPTIONS) && !defined(__cpp_exceptions)
#define ONNX_INFER_NO_EXCEPTIONS 1
#endif

namespace onnx_infer {
/* Programs may link parts that were built with and without exceptions, and for different years of C++. */
#if defined(ONNX_INFER_NO_EXCEPTIONS) && defined(__cpp_lib_span)
inline namespace results20 {
#elif defined(ONNX_INFER_NO_EXCEPTIONS)
inline namespace results17 {
#elif defined(__cpp_lib_span)
inline namespace exceptions20 {
#else
inline namespace exceptions17 {
#endif

/* --- views ---------------------------------------------------------------------------------------------------------- */

#if defined(__cpp_lib_span)
template <class T> using span = std::span<T>;
#else
/* What is needed of std::span. */
template <class T> class span {
public:
    span() = default;
    span(T *data, std::size_t size) : data_(data), size_(size) {}
    template <class C, class = std::enable_if_t<std::is_convertible_v<decltype(std::declval<C &>().data()), T *>>>
    span(C &&c) : data_(c.data()), size_(c.size()) {}
    T *data() const { return data_; }
    std::size_t size() const { return size_; }
    bool empty() const { return size_ == 0; }
    T *begin() const { return data_; }
    T *end() const { return data_ + size_; }
    T &operator[](std::size_t i) const { return data_[i]; }
    T &front() const { return data_[0]; }
    T &back() const { return data_[size_ - 1]; }

private:
    T *data_ = nullptr;
    std::size_t size_ = 0;
};
#endif

/* Dimensions, outermost first: from a list in braces, a vector or a span. Borrows; meant for parameters only. */
class Dims {
public:
    Dims(std::initializer_list<std::int64_t> dims) : size_(dims.size()) { data_ = dims.begin(); }
    Dims(const std::vector<std::int64_t> &dims) : data_(dims.data()), size_(dims.size()) {}
    Dims(span<const std::int64_t> dims) : data_(dims.data()), size_(dims.size()) {}
    const std::int64_t *data() const { return data_; }
    std::int32_t rank() const { return static_cast<std::int32_t>(size_); }

private:
    const std::int64_t *data_;
    std::size_t size_;
};

/* Halves as they lie in memory. */
struct float16 {
    std::uint16_t bits;
};
struct bfloat16 {
    std::uint16_t bits;
};

/* The element type of a C++ type: that of float is ONNX_INFER_FLOAT. */
template <class T> struct dtype_of;
template <> struct dtype_of<float> : std::integral_constant<onnx_infer_dtype, ONNX_INFER_FLOAT> {};
template <> struct dtype_of<double> : std::integral_constant<onnx_infer_dtype, ONNX_INFER_DOUBLE> {};
template <> struct dtype_of<std::uint8_t> : std::integral_constant<onnx_infer_dtype, ONNX_INFER_UINT8> {};
template <> struct dtype_of<std::int8_t> : std::integral_constant<onnx_infer_dtype, ONNX_INFER_INT8> {};
template <> struct dtype_of<std::uint16_t> : std::integral_constant<onnx_infer_dtype, ONNX_INFER_UINT16> {};
template <> struct dtype_of<std::int16_t> : std::integral_constant<onnx_infer_dtype, ONNX_INFER_INT16> {};
template <> struct dtype_of<std::uint32_t> : std::integral_constant<onnx_infer_dtype, ONNX_INFER_UINT32> {};
template <> struct dtype_of<std::int32_t> : std::integral_constant<onnx_infer_dtype, ONNX_INFER_INT32> {};
template <> struct dtype_of<std::uint64_t> : std::integral_constant<onnx_infer_dtype, ONNX_INFER_UINT64> {};
template <> struct dtype_of<std::int64_t> : std::integral_constant<onnx_infer_dtype, ONNX_INFER_INT64> {};
template <> struct dtype_of<bool> : std::integral_constant<onnx_infer_dtype, ONNX_INFER_BOOL> {};
template <> struct dtype_of<float16> : std::integral_constant<onnx_infer_dtype, ONNX_INFER_FLOAT16> {};
template <> struct dtype_of<bfloat16> : std::integral_constant<onnx_infer_dtype, ONNX_INFER_BFLOAT16> {};
template <> struct dtype_of<std::complex<float>> : std::integral_constant<onnx_infer_dtype, ONNX_INFER_COMPLEX64> {};
template <> struct dtype_of<std::complex<double>> : std::integral_constant<onnx_infer_dtype, ONNX_INFER_COMPLEX128> {};

/* --- failures ------------------------------------------------------------------------------------------------------- */

/* What happened and where; text is "" and numbers are -1 where they do not apply. */
class error : public std::runtime_error {
public:
    error(onnx_infer_status status, const std::string &message) : std::runtime_error(message), code(status) {}
    explicit error(onnx_infer_status status, const onnx_infer_error *e)
        : std::runtime_error(onnx_infer_error_message(e)), code(status), node(onnx_infer_error_node(e)),
          op(onnx_infer_error_op(e)), tensor(onnx_infer_error_tensor(e)), symbol(onnx_infer_error_symbol(e)),
          axis(onnx_infer_error_axis(e)), got(onnx_infer_error_got(e)), expected(onnx_infer_error_expected(e))
    {
    }
    /* Of this thread's last failure. */
    static error last(onnx_infer_status status) { return error(status, onnx_infer_last_error()); }
    /* Of an issue of a model. */
    static error of(const onnx_infer_error *e) { return error(onnx_infer_error_code(e), e); }
    const char *name() const { return onnx_infer_status_name(code); }

    onnx_infer_status code;
    std::string node, op, tensor, symbol;
    std::int32_t axis = -1;
    std::int64_t got = -1, expected = -1;
};

/* A copy of an error record that C code keeps or passes on. */
class ErrorRecord {
public:
    ErrorRecord() : record_(onnx_infer_error_clone(onnx_infer_last_error())) {}
    const onnx_infer_error *get() const { return record_.get(); }

private:
    struct free_record {
        void operator()(onnx_infer_error *e) const noexcept { onnx_infer_error_free(e); }
    };
    std::unique_ptr<onnx_infer_error, free_record> record_;
};

/* A T or an error. value(), * and -> are for results that are true. */
template <class T> class [[nodiscard]] result {
public:
    result(T value) : value_(std::move(value)) {}
    result(error e) : error_(std::move(e)) {}
    explicit operator bool() const { return value_.has_value(); }
    T &value() & { return *value_; }
    const T &value() const & { return *value_; }
    T &&value() && { return std::move(*value_); }
    T &operator*() & { return *value_; }
    const T &operator*() const & { return *value_; }
    T &&operator*() && { return std::move(*value_); }
    T *operator->() { return &*value_; }
    const T *operator->() const { return &*value_; }
    const onnx_infer::error &failure() const { return *error_; }

private:
    std::optional<T> value_;
    std::optional<error> error_;
};
template <> class [[nodiscard]] result<void> {
public:
    result() = default;
    result(error e) : error_(std::move(e)) {}
    explicit operator bool() const { return !error_; }
    const onnx_infer::error &failure() const { return *error_; }

private:
    std::optional<error> error_;
};

#if defined(ONNX_INFER_NO_EXCEPTIONS)
template <class T> using outcome = result<T>;
#else
template <class T> using outcome = T;
#endif

namespace detail {
/* make() where the status is OK, else the failure. */
template <class Make> outcome<std::invoke_result_t<Make>> finish(onnx_infer_status status, Make make)
{
#if defined(ONNX_INFER_NO_EXCEPTIONS)
    if (status != ONNX_INFER_OK)
        return error::last(status);
#else
    if (status != ONNX_INFER_OK)
        throw error::last(status);
#endif
    return make();
}

inline outcome<void> finish(onnx_infer_status status)
{
#if defined(ONNX_INFER_NO_EXCEPTIONS)
    return status != ONNX_INFER_OK ? result<void>(error::last(status)) : result<void>();
#else
    if (status != ONNX_INFER_OK)
        throw error::last(status);
#endif
}

template <class T> outcome<T> fail(error e)
{
#if defined(ONNX_INFER_NO_EXCEPTIONS)
    return e;
#else
    throw e;
#endif
}

inline std::string_view text(const char *s)
{
    return s ? std::string_view(s) : std::string_view();
}

/* A handle with one owner. */
template <class H, void (*Free)(H *)> class owned {
public:
    owned() = default;
    explicit owned(H *h) : h_(h) {}
    /* The C handle, which stays this object's. */
    H *get() const { return h_.get(); }
    explicit operator bool() const { return h_ != nullptr; }
    /* The C handle, now the caller's. */
    H *release() { return h_.release(); }

private:
    struct deleter {
        void operator()(H *h) const noexcept { Free(h); }
    };
    std::unique_ptr<H, deleter> h_;
};

/* A reference to a counted handle. */
template <class H, H *(*Retain)(H *), void (*Release)(H *)> class shared {
public:
    shared() = default;
    shared(const shared &o) noexcept : h_(Retain(o.h_)) {}
    shared(shared &&o) noexcept : h_(std::exchange(o.h_, nullptr)) {}
    shared &operator=(shared o) noexcept
    {
        std::swap(h_, o.h_);
        return *this;
    }
    ~shared() { Release(h_); }
    H *get() const { return h_; }
    explicit operator bool() const { return h_ != nullptr; }
    /* The C reference, now the caller's. */
    H *release() { return std::exchange(h_, nullptr); }

protected:
    struct adopt {};
    shared(H *h, adopt) : h_(h) {}

private:
    H *h_ = nullptr;
};

/* Options: setters that return the object. Without exceptions the first failure is kept. */
template <class Self, class H, void (*Free)(H *)> class settings : public owned<H, Free> {
public:
    /* Without exceptions: the first failure of a setter, if any. */
    const std::optional<error> &failure() const { return failure_; }

protected:
    explicit settings(onnx_infer_status (*create)(H **))
    {
        H *h = nullptr;
        note(create(&h));
        static_cast<owned<H, Free> &>(*this) = owned<H, Free>(h);
    }
    Self &note(onnx_infer_status status)
    {
#if defined(ONNX_INFER_NO_EXCEPTIONS)
        if (status != ONNX_INFER_OK && !failure_)
            failure_ = error::last(status);
#else
        if (status != ONNX_INFER_OK)
            throw error::last(status);
#endif
        return static_cast<Self &>(*this);
    }

private:
    std::optional<error> failure_;
};
/* A writer's function: appends to the vector at `user`. */
inline int append_bytes(void *user, const void *p, std::size_t n) noexcept
{
    auto *to = static_cast<std::vector<std::uint8_t> *>(user);
    const auto *from = static_cast<const std::uint8_t *>(p);
#if !defined(ONNX_INFER_NO_EXCEPTIONS)
    try {
        to->insert(to->end(), from, from + n);
    } catch (...) {
        return -1;
    }
#else
    to->insert(to->end(), from, from + n);
#endif
    return 0;
}
} // namespace detail

/* --- version and capability ------------------------------------------------------------------------------------------ */

inline std::string_view version() { return onnx_infer_version(); }
inline std::uint32_t version_number() { return onnx_infer_version_number(); }
inline std::int32_t max_ir_version() { return onnx_infer_max_ir_version(); }
inline std::int32_t max_opset(const std::string &domain = "") { return onnx_infer_max_opset(domain.c_str()); }
inline std::int32_t default_threads() { return onnx_infer_default_threads(); }
inline std::string_view cpu_isa() { return onnx_infer_cpu_isa(); }
inline std::string_view build_info() { return onnx_infer_build_info(); }
/* The operator is in this build, on this backend ("": on any). */
inline bool op_supported(const std::string &domain, const std::string &op, std::int32_t opset, const std::string &backend = "")
{
    return onnx_infer_op_supported(domain.c_str(), op.c_str(), opset, backend.empty() ? nullptr : backend.c_str()) != 0;
}
inline std::vector<std::string_view> backends()
{
    std::vector<std::string_view> all;
    for (std::size_t i = 0; i < onnx_infer_backend_count(); i++)
        all.emplace_back(onnx_infer_backend_name(i));
    return all;
}
inline outcome<void> backend_probe(const std::string &name) { return detail::finish(onnx_infer_backend_probe(name.c_str())); }
/* fn(level, text) hears of options made from now on; it must outlive them. */
template <class F> outcome<void> set_log(F &fn, onnx_infer_log_level level = ONNX_INFER_LOG_WARNING)
{
    return detail::finish(onnx_infer_set_log(
        [](void *user, onnx_infer_log_level l, const char *message) { (*static_cast<F *>(user))(l, std::string_view(message)); },
        &fn, level));
}
inline void reset_log() { static_cast<void>(onnx_infer_set_log(nullptr, nullptr, ONNX_INFER_LOG_ERROR)); }
struct OperatorName {
    std::string_view domain, name;
};
inline std::vector<OperatorName> operators()
{
    std::vector<OperatorName> all;
    for (std::size_t i = 0; i < onnx_infer_op_count(); i++)
        all.push_back({onnx_infer_op_domain(i), onnx_infer_op_name(i)});
    return all;
}

/* --- values --------------------------------------------------------------------------------------------------------- */

namespace detail {
/* What is read of a value; Self has get(). */
template <class Self> class reads {
public:
    onnx_infer_kind kind() const { return onnx_infer_value_kind(at()); }

    /* Tensors. */
    onnx_infer_dtype dtype() const { return onnx_infer_tensor_dtype(at()); }
    std::int32_t rank() const { return onnx_infer_tensor_rank(at()); }
    span<const std::int64_t> shape() const
    {
        return {onnx_infer_tensor_dims(at()), static_cast<std::size_t>(rank() < 0 ? 0 : rank())};
    }
    std::size_t count() const { return onnx_infer_tensor_count(at()); }
    std::size_t bytes() const { return onnx_infer_tensor_bytes(at()); }
    const void *raw() const { return onnx_infer_tensor_data(at()); }
    /* The elements; ONNX_INFER_E_TYPE_MISMATCH where they are not of type T. */
    template <class T> outcome<span<const T>> data() const
    {
        if (dtype() != dtype_of<T>::value)
            return fail<span<const T>>(other_type(dtype_of<T>::value));
        return span<const T>(static_cast<const T *>(raw()), count());
    }
    /* Element i of a tensor of strings; it may hold any bytes. */
    std::string_view string(std::size_t i) const
    {
        std::size_t n = 0;
        const char *s = onnx_infer_tensor_string(at(), i, &n);
        return {s ? s : "", n};
    }
    /* Items of a sequence or optional. */
    std::size_t size() const { return onnx_infer_value_count(at()); }

protected:
    error other_type(onnx_infer_dtype wanted) const
    {
        return error(ONNX_INFER_E_TYPE_MISMATCH, "the value has element type " + std::to_string(dtype()) + ", asked for as type " +
                                                     std::to_string(wanted));
    }

private:
    const onnx_infer_value *at() const { return static_cast<const Self *>(this)->get(); }
};
} // namespace detail

/* A value that somebody else holds, to be read while that lives. */
class View : public detail::reads<View> {
public:
    explicit View(const onnx_infer_value *v = nullptr) : v_(v) {}
    const onnx_infer_value *get() const { return v_; }
    explicit operator bool() const { return v_ != nullptr; }
    View operator[](std::size_t i) const { return View(onnx_infer_value_item(v_, i)); }

private:
    const onnx_infer_value *v_;
};

/* A tensor, sequence, optional or map. Copies refer to the same value. */
class Value : public detail::shared<onnx_infer_value, onnx_infer_value_retain, onnx_infer_value_release>,
              public detail::reads<Value> {
public:
    Value() = default;
    /* Takes the reference over. */
    static Value adopt(onnx_infer_value *v) { return Value(v, shared::adopt()); }
    /* Takes a reference of its own. */
    static Value of(onnx_infer_value *v) { return adopt(onnx_infer_value_retain(v)); }

    void *mutable_raw() { return onnx_infer_tensor_mutable_data(get()); }
    template <class T> outcome<span<T>> mutable_data()
    {
        if (dtype() != dtype_of<T>::value)
            return detail::fail<span<T>>(other_type(dtype_of<T>::value));
        return span<T>(static_cast<T *>(mutable_raw()), count());
    }
    outcome<void> set_string(std::size_t i, std::string_view s)
    {
        return detail::finish(onnx_infer_tensor_set_string(get(), i, s.data(), s.size()));
    }

    /* Sequences and optionals. */
    Value operator[](std::size_t i) const { return of(onnx_infer_value_item(get(), i)); }
    outcome<void> push(const Value &item) { return detail::finish(onnx_infer_value_push(get(), item.get())); }
    static outcome<Value> sequence() { return make(onnx_infer_sequence_create); }
    static outcome<Value> optional() { return make(onnx_infer_optional_create); }

    /* Maps. */
    static outcome<Value> map(const Value &keys, const Value &values)
    {
        onnx_infer_value *v = nullptr;
        onnx_infer_status status = onnx_infer_map_create(keys.get(), values.get(), &v);
        return detail::finish(status, [&] { return adopt(v); });
    }
    Value keys() const { return of(onnx_infer_map_keys(get())); }
    Value values() const { return of(onnx_infer_map_values(get())); }

protected:
    using shared::shared;

private:
    static outcome<Value> make(onnx_infer_status (*create)(onnx_infer_value **))
    {
        onnx_infer_value *v = nullptr;
        onnx_infer_status status = create(&v);
        return detail::finish(status, [&] { return adopt(v); });
    }
};

/* Makes tensors. */
class Tensor : public Value {
public:
    /* Owned and zeroed. */
    static outcome<Tensor> create(onnx_infer_dtype dtype, Dims dims)
    {
        onnx_infer_value *v = nullptr;
        onnx_infer_status status = onnx_infer_tensor_create(dtype, dims.rank(), dims.data(), &v);
        return detail::finish(status, [&] { return Tensor(v); });
    }
    template <class T> static outcome<Tensor> create(Dims dims) { return create(dtype_of<T>::value, dims); }
    /* Uses the caller's memory, which must outlive the value and what was run with it. */
    template <class T> static outcome<Tensor> wrap(span<T> data, Dims dims)
    {
        using element = std::remove_const_t<T>;
        return wrap(dtype_of<element>::value, dims, const_cast<element *>(data.data()), data.size() * sizeof(T));
    }
    template <class T, class A> static outcome<Tensor> wrap(std::vector<T, A> &data, Dims dims)
    {
        return wrap(span<T>(data.data(), data.size()), dims);
    }
    template <class T, class A> static outcome<Tensor> wrap(const std::vector<T, A> &data, Dims dims)
    {
        return wrap(span<const T>(data.data(), data.size()), dims);
    }
    static outcome<Tensor> wrap(onnx_infer_dtype dtype, Dims dims, void *data, std::size_t bytes,
                                onnx_infer_free_fn fn = nullptr, void *user = nullptr)
    {
        onnx_infer_value *v = nullptr;
        onnx_infer_status status = onnx_infer_tensor_wrap(dtype, dims.rank(), dims.data(), data, bytes, fn, user, &v);
        return detail::finish(status, [&] { return Tensor(v); });
    }
    /* Elements at any distance: byte strides of any sign. Copied unless they are dense. */
    static outcome<Tensor> wrap_strided(onnx_infer_dtype dtype, Dims dims, Dims byte_strides, void *data,
                                        onnx_infer_free_fn fn = nullptr, void *user = nullptr)
    {
        onnx_infer_value *v = nullptr;
        if (dims.rank() != byte_strides.rank())
            return detail::fail<Tensor>(error(ONNX_INFER_E_INVALID_ARGUMENT, "as many strides as dims are needed"));
        onnx_infer_status status =
            onnx_infer_tensor_wrap_strided(dtype, dims.rank(), dims.data(), byte_strides.data(), data, fn, user, &v);
        return detail::finish(status, [&] { return Tensor(v); });
    }
    /* A DLManagedTensorVersioned, which is taken over. */
    static outcome<Tensor> from_dlpack(void *managed)
    {
        onnx_infer_value *v = nullptr;
        onnx_infer_status status = onnx_infer_tensor_from_dlpack(managed, &v);
        return detail::finish(status, [&] { return Tensor(v); });
    }
    /* The same, to be given to whoever calls its deleter. */
    outcome<void *> to_dlpack() const
    {
        void *managed = nullptr;
        onnx_infer_status status = onnx_infer_tensor_to_dlpack(get(), &managed);
        return detail::finish(status, [&] { return managed; });
    }
    /* Copies the elements of another tensor of this shape, converted to this type. */
    outcome<void> copy_from(const Value &other) { return detail::finish(onnx_infer_tensor_copy(other.get(), get())); }
    /* Keeps the vector until the value is gone. */
    template <class T, class A> static outcome<Tensor> own(std::vector<T, A> &&data, Dims dims)
    {
        auto kept = std::make_unique<std::vector<T, A>>(std::move(data));
        onnx_infer_value *v = nullptr;
        onnx_infer_status status = onnx_infer_tensor_wrap(
            dtype_of<T>::value, dims.rank(), dims.data(), kept->data(), kept->size() * sizeof(T),
            [](void *user, void *) { delete static_cast<std::vector<T, A> *>(user); }, kept.get(), &v);
        if (status == ONNX_INFER_OK)
            static_cast<void>(kept.release());
        return detail::finish(status, [&] { return Tensor(v); });
    }
    /* A tensor of strings. */
    static outcome<Tensor> strings(span<const std::string> text, Dims dims)
    {
        onnx_infer_value *v = nullptr;
        onnx_infer_status status = onnx_infer_tensor_create(ONNX_INFER_STRING, dims.rank(), dims.data(), &v);
        Tensor t(v);
        if (status == ONNX_INFER_OK && t.count() != text.size())
            return detail::fail<Tensor>(error(ONNX_INFER_E_SHAPE_MISMATCH, std::to_string(text.size()) + " strings for " +
                                                                               std::to_string(t.count()) + " elements"));
        for (std::size_t i = 0; status == ONNX_INFER_OK && i < text.size(); i++)
            status = onnx_infer_tensor_set_string(v, i, text[i].data(), text[i].size());
        return detail::finish(status, [&] { return std::move(t); });
    }

private:
    explicit Tensor(onnx_infer_value *v) : Value(v, shared::adopt()) {}
};

/* --- pools, cancel, profile ----------------------------------------------------------------------------------------- */

/* Threads that plans share. */
class Pool : public detail::shared<onnx_infer_pool, onnx_infer_pool_retain, onnx_infer_pool_release> {
public:
    Pool() = default;
    static outcome<Pool> create(std::int32_t threads = 0, std::chrono::nanoseconds spin = {})
    {
        onnx_infer_pool *p = nullptr;
        onnx_infer_status status = onnx_infer_pool_create(threads, static_cast<std::uint64_t>(spin.count()), &p);
        return detail::finish(status, [&] { return Pool(p); });
    }
    /* The application's threads; what `e` refers to outlives the pool and its plans. */
    static outcome<Pool> create(const onnx_infer_executor &e)
    {
        onnx_infer_pool *p = nullptr;
        onnx_infer_status status = onnx_infer_pool_create_external(&e, &p);
        return detail::finish(status, [&] { return Pool(p); });
    }

private:
    explicit Pool(onnx_infer_pool *p) : shared(p, adopt()) {}
};

/* Ends what it was given to, from any thread or a signal handler. */
class Cancel : public detail::owned<onnx_infer_cancel, onnx_infer_cancel_free> {
public:
    static outcome<Cancel> create()
    {
        onnx_infer_cancel *c = nullptr;
        onnx_infer_status status = onnx_infer_cancel_create(&c);
        return detail::finish(status, [&] { return Cancel(c); });
    }
    void fire() const noexcept { onnx_infer_cancel_fire(get()); }
    void reset() const noexcept { onnx_infer_cancel_reset(get()); }

private:
    using owned::owned;
};

/* The steps of the last run that it was set for. */
class Profile : public detail::owned<onnx_infer_profile, onnx_infer_profile_free> {
public:
    static outcome<Profile> create()
    {
        onnx_infer_profile *p = nullptr;
        onnx_infer_status status = onnx_infer_profile_create(&p);
        return detail::finish(status, [&] { return Profile(p); });
    }
    std::size_t size() const { return onnx_infer_profile_count(get()); }
    outcome<onnx_infer_event> operator[](std::size_t i) const
    {
        onnx_infer_event e{};
        e.struct_size = sizeof e;
        onnx_infer_status status = onnx_infer_profile_get(get(), i, &e);
        return detail::finish(status, [&] { return e; });
    }
    /* As a trace that browsers show. */
    outcome<std::string> json() const
    {
        std::vector<std::uint8_t> bytes;
        onnx_infer_writer w = {sizeof w, &bytes, detail::append_bytes};
        onnx_infer_status status = onnx_infer_profile_json(get(), &w);
        return detail::finish(status, [&] { return std::string(bytes.begin(), bytes.end()); });
    }

private:
    using owned::owned;
};

/* --- operators of your own ------------------------------------------------------------------------------------------ */

/* What an operator's functions get; of use only while they run. */
class OpContext {
public:
    explicit OpContext(onnx_infer_op_context *x) : x_(x) {}
    onnx_infer_op_context *get() const { return x_; }
    std::string_view node_name() const { return detail::text(onnx_infer_op_node_name(x_)); }
    std::size_t input_count() const { return onnx_infer_op_input_count(x_); }
    std::size_t output_count() const { return onnx_infer_op_output_count(x_); }
    bool wanted(std::size_t output) const { return onnx_infer_op_output_wanted(x_, output) != 0; }
    /* In compute the content; before, that of constants. Empty where it is left out. */
    View input(std::size_t i) const { return View(onnx_infer_op_input(x_, i)); }

    struct Type {
        onnx_infer_kind kind = ONNX_INFER_TENSOR;
        onnx_infer_dtype dtype = ONNX_INFER_UNDEFINED;
        std::int32_t rank = -1;
    };
    /* What is known of an input. */
    outcome<Type> input_type(std::size_t i) const
    {
        Type t;
        onnx_infer_status status = onnx_infer_op_input_type(x_, i, &t.kind, &t.dtype, &t.rank);
        return detail::finish(status, [&] { return t; });
    }
    struct Dim {
        std::int64_t size = -1;
        std::string_view expr;
    };
    outcome<Dim> input_dim(std::size_t i, std::int32_t axis) const
    {
        Dim d;
        const char *expr = nullptr;
        onnx_infer_status status = onnx_infer_op_input_dim(x_, i, axis, &d.size, &expr);
        d.expr = detail::text(expr);
        return detail::finish(status, [&] { return d; });
    }
    /* In infer: the type of an output; `exprs` stand for the dims that are negative. */
    outcome<void> set_output_type(std::size_t i, onnx_infer_dtype dtype, Dims dims, const char *const *exprs = nullptr) const
    {
        return detail::finish(onnx_infer_op_set_output_type(x_, i, dtype, dims.rank(), dims.data(), exprs));
    }
    /* In infer: output i is of the type and shape of input `like`. */
    outcome<void> set_output_like(std::size_t i, std::size_t like) const
    {
        Type t;
        onnx_infer_status status = onnx_infer_op_input_type(x_, like, &t.kind, &t.dtype, &t.rank);
        std::vector<std::int64_t> dims(static_cast<std::size_t>(t.rank < 0 ? 0 : t.rank));
        std::vector<const char *> exprs(dims.size());
        for (std::size_t axis = 0; status == ONNX_INFER_OK && axis < dims.size(); axis++)
            status = onnx_infer_op_input_dim(x_, like, static_cast<std::int32_t>(axis), &dims[axis], &exprs[axis]);
        if (status == ONNX_INFER_OK)
            status = onnx_infer_op_set_output_type(x_, i, t.dtype, t.rank, dims.data(), exprs.data());
        return detail::finish(status);
    }
    /* In compute: an output to be written. */
    template <class T> outcome<span<T>> output(std::size_t i, Dims dims) const
    {
        onnx_infer_value *v = nullptr;
        onnx_infer_status status = onnx_infer_op_output(x_, i, dtype_of<T>::value, dims.rank(), dims.data(), &v);
        return detail::finish(status,
                              [&] { return span<T>(static_cast<T *>(onnx_infer_tensor_mutable_data(v)), onnx_infer_tensor_count(v)); });
    }

    /* Attributes; nothing where the node has none of that name and type. */
    std::optional<std::int64_t> attr_int(const char *name) const { return attr<std::int64_t>(onnx_infer_op_attr_int, name); }
    std::optional<float> attr_float(const char *name) const { return attr<float>(onnx_infer_op_attr_float, name); }
    std::optional<std::string_view> attr_string(const char *name) const
    {
        const char *text = nullptr;
        std::size_t n = 0;
        if (onnx_infer_op_attr_string(x_, name, &text, &n) != ONNX_INFER_OK)
            return std::nullopt;
        return std::string_view(text, n);
    }
    std::optional<span<const std::int64_t>> attr_ints(const char *name) const
    {
        return attr_list<std::int64_t>(onnx_infer_op_attr_ints, name);
    }
    std::optional<span<const float>> attr_floats(const char *name) const { return attr_list<float>(onnx_infer_op_attr_floats, name); }
    std::optional<std::vector<std::string_view>> attr_strings(const char *name) const
    {
        const char *const *text = nullptr;
        const std::uint32_t *length = nullptr;
        std::size_t n = 0;
        if (onnx_infer_op_attr_strings(x_, name, &text, &length, &n) != ONNX_INFER_OK)
            return std::nullopt;
        std::vector<std::string_view> all;
        for (std::size_t i = 0; i < n; i++)
            all.emplace_back(text[i], length[i]);
        return all;
    }
    View attr_tensor(const char *name) const
    {
        const onnx_infer_value *v = nullptr;
        return View(onnx_infer_op_attr_tensor(x_, name, &v) == ONNX_INFER_OK ? v : nullptr);
    }

    /* Zeroed memory until the function returns; nullptr without memory. */
    void *scratch(std::size_t bytes) const { return onnx_infer_op_scratch(x_, bytes); }
    /* body(0 .. n-1) on the threads of the plan; it does not throw. */
    template <class F> void parallel_for(std::size_t n, F &&body) const
    {
        using function = std::remove_reference_t<F>;
        onnx_infer_op_parallel_for(
            x_, n, [](void *arg, std::size_t i) { (*static_cast<function *>(arg))(i); },
            const_cast<void *>(static_cast<const void *>(&body)));
    }
    /* The status to return, with its record written. */
    onnx_infer_status fail(onnx_infer_status status, const std::string &message) const
    {
        return onnx_infer_op_fail(x_, status, message.c_str());
    }

private:
    template <class T, class Get> std::optional<T> attr(Get ask, const char *name) const
    {
        T v{};
        return ask(x_, name, &v) == ONNX_INFER_OK ? std::optional<T>(v) : std::nullopt;
    }
    template <class T, class Get> std::optional<span<const T>> attr_list(Get ask, const char *name) const
    {
        const T *v = nullptr;
        std::size_t n = 0;
        return ask(x_, name, &v, &n) == ONNX_INFER_OK ? std::optional<span<const T>>(span<const T>(v, n)) : std::nullopt;
    }
    onnx_infer_op_context *x_;
};

namespace detail {
/* f(), with what it throws made a failure of the operator. */
template <class F> onnx_infer_status safely(onnx_infer_op_context *x, F f)
{
#if defined(ONNX_INFER_NO_EXCEPTIONS)
    static_cast<void>(x);
    return f();
#else
    try {
        return f();
    } catch (const error &e) {
        return onnx_infer_op_fail(x, e.code, e.what());
    } catch (const std::bad_alloc &e) {
        return onnx_infer_op_fail(x, ONNX_INFER_E_OUT_OF_MEMORY, e.what());
    } catch (const std::exception &e) {
        return onnx_infer_op_fail(x, ONNX_INFER_E_BACKEND, e.what());
    }
#endif
}
} // namespace detail

/* The definition of an operator that is a class:
 *   explicit Op(OpContext)                                made for each node and set of input shapes
 *   onnx_infer_status compute(OpContext) const            any thread
 *   static onnx_infer_status infer(OpContext)             sets the outputs' types
 * With exceptions the three may throw. Set the counts of inputs and outputs, and what else differs, in the result. */
template <class Op> onnx_infer_op_def op_def(const char *domain, const char *name, std::int32_t since = 1)
{
    onnx_infer_op_def def{};
    def.struct_size = sizeof def;
    def.domain = domain;
    def.name = name;
    def.since = since;
    def.min_inputs = def.max_inputs = def.min_outputs = def.max_outputs = 1;
    def.infer = [](void *, onnx_infer_op_context *x) { return detail::safely(x, [&] { return Op::infer(OpContext(x)); }); };
    def.create = [](void *, onnx_infer_op_context *x, void **kernel) {
        return detail::safely(x, [&]() -> onnx_infer_status {
            *kernel = new (std::nothrow) Op(OpContext(x));
            return *kernel ? ONNX_INFER_OK : onnx_infer_op_fail(x, ONNX_INFER_E_OUT_OF_MEMORY, "no memory for a kernel");
        });
    };
    def.compute = [](void *kernel, onnx_infer_op_context *x) {
        return detail::safely(x, [&] { return static_cast<const Op *>(kernel)->compute(OpContext(x)); });
    };
    def.destroy = [](void *kernel) { delete static_cast<Op *>(kernel); };
    return def;
}

/* --- options -------------------------------------------------------------------------------------------------------- */

/* How to load and plan. */
class Options : public detail::settings<Options, onnx_infer_options, onnx_infer_options_free> {
public:
    Options() : settings(onnx_infer_options_create) {}
    Options &symbol(const std::string &name, std::int64_t value)
    {
        return note(onnx_infer_options_set_symbol(get(), name.c_str(), value));
    }
    Options &symbol_range(const std::string &name, std::int64_t min, std::int64_t usual, std::int64_t max)
    {
        return note(onnx_infer_options_set_symbol_range(get(), name.c_str(), min, usual, max));
    }
    Options &input_shape(const std::string &input, Dims dims)
    {
        return note(onnx_infer_options_set_input_shape(get(), input.c_str(), dims.rank(), dims.data()));
    }
    Options &level(std::int32_t level) { return note(onnx_infer_options_set_level(get(), level)); }
    Options &backend(const std::string &name) { return note(onnx_infer_options_set_backend(get(), name.c_str())); }
    Options &cpu_isa(const std::string &name) { return note(onnx_infer_options_set_cpu_isa(get(), name.c_str())); }
    Options &threads(std::int32_t n) { return note(onnx_infer_options_set_threads(get(), n)); }
    Options &pool(const Pool &p) { return note(onnx_infer_options_set_pool(get(), p.get())); }
    Options &deterministic(std::int32_t level) { return note(onnx_infer_options_set_deterministic(get(), level)); }
    /* Outlives the calls that take these options. */
    Options &cancel(const Cancel &c) { return note(onnx_infer_options_set_cancel(get(), c.get())); }
    Options &allocator(const onnx_infer_allocator &a) { return note(onnx_infer_options_set_allocator(get(), &a)); }
    Options &limit(const std::string &what, std::uint64_t max)
    {
        return note(onnx_infer_options_set_limit(get(), what.c_str(), max));
    }
    /* An operator of your own: see op_def. What `def` refers to outlives all that is loaded with these options. */
    Options &op(const onnx_infer_op_def &def) { return note(onnx_infer_options_add_op(get(), &def)); }
    /* A shared library that exports onnx_infer_register_ops. */
    Options &op_library(const std::string &path) { return note(onnx_infer_options_add_op_library(get(), path.c_str())); }
    /* fn(done, total) returns false to stop. It outlives the calls that take these options and does not throw. */
    /* A folder in which plans keep what they pack, for later processes. */
    Options &cache_dir(const std::string &dir) { return note(onnx_infer_options_set_cache_dir(get(), dir.c_str())); }
    /* A setter by text: "threads", "limit.nodes" ... */
    Options &set(const std::string &key, const std::string &value)
    {
        return note(onnx_infer_options_set(get(), key.c_str(), value.c_str()));
    }
    /* Replaces a constant of the model. */
    Options &initializer(const std::string &name, const Value &v)
    {
        return note(onnx_infer_options_set_initializer(get(), name.c_str(), v.get()));
    }
    /* A file of external data; the bytes are copied. */
    Options &external(const std::string &location, const void *bytes, std::size_t n)
    {
        return note(onnx_infer_options_add_external(get(), location.c_str(), bytes, n, nullptr, nullptr));
    }
    /* Values of the graph that are to be the outputs. */
    Options &outputs(span<const std::string> names)
    {
        std::vector<const char *> list;
        for (const std::string &name : names)
            list.push_back(name.c_str());
        return note(onnx_infer_options_set_outputs(get(), list.size(), list.data()));
    }
    template <class F> Options &progress(F &fn)
    {
        return note(onnx_infer_options_set_progress(
            get(), [](void *user, std::size_t done, std::size_t total) { return (*static_cast<F *>(user))(done, total) ? 0 : 1; },
            &fn));
    }
    /* fn(level, message), from any thread. It outlives all that is made with these options and does not throw. */
    template <class F> Options &log(F &fn, onnx_infer_log_level level = ONNX_INFER_LOG_WARNING)
    {
        return note(onnx_infer_options_set_log(
            get(),
            [](void *user, onnx_infer_log_level l, const char *message) {
                (*static_cast<F *>(user))(l, std::string_view(message));
            },
            &fn, level));
    }
};

/* How to run. What is set outlives the runs. */
class RunOptions : public detail::settings<RunOptions, onnx_infer_run_options, onnx_infer_run_options_free> {
public:
    RunOptions() : settings(onnx_infer_run_options_create) {}
    RunOptions &cancel(const Cancel &c) { return note(onnx_infer_run_options_set_cancel(get(), c.get())); }
    /* From the start of each run; 0: none. */
    RunOptions &deadline(std::chrono::nanoseconds limit)
    {
        return note(onnx_infer_run_options_set_deadline(get(), static_cast<std::uint64_t>(limit.count() < 0 ? 1 : limit.count())));
    }
    RunOptions &profile(const Profile &p) { return note(onnx_infer_run_options_set_profile(get(), p.get())); }
    RunOptions &seed(std::uint64_t seed) { return note(onnx_infer_run_options_set_seed(get(), seed)); }
};

namespace detail {
/* call(options) unless a setter failed before. */
template <class O, class Call, class Make> auto with(const O *o, Call call, Make make) -> outcome<std::invoke_result_t<Make>>
{
#if defined(ONNX_INFER_NO_EXCEPTIONS)
    if (o && o->failure())
        return *o->failure();
#endif
    return finish(call(o ? o->get() : nullptr), make);
}
template <class O, class Call> outcome<void> with(const O *o, Call call)
{
#if defined(ONNX_INFER_NO_EXCEPTIONS)
    if (o && o->failure())
        return *o->failure();
#endif
    return finish(call(o ? o->get() : nullptr));
}
inline std::string utf8(const char *path) { return path; }
inline std::string utf8(const std::string &path) { return path; }
/* std::filesystem::path. */
template <class P> auto utf8(const P &path) -> decltype(path.u8string(), std::string())
{
    auto text = path.u8string();
    return std::string(reinterpret_cast<const char *>(text.data()), text.size());
}
} // namespace detail

/* --- models --------------------------------------------------------------------------------------------------------- */

/* Where a model's bytes come from. Functions must not throw. */
class Reader {
public:
    virtual ~Reader() = default;
    /* Negative: failure. */
    virtual std::int64_t size() = 0;
    /* Bytes copied; negative: failure. */
    virtual std::int64_t read_at(std::uint64_t offset, void *to, std::size_t n) = 0;
    /* The bytes where they lie, valid while the reader lives; nullptr: read_at is used. */
    virtual const void *map(std::uint64_t, std::size_t) { return nullptr; }
    /* A file of external data; nullptr: there is none. */
    virtual std::unique_ptr<Reader> open_external(const char *) { return nullptr; }

    /* The C struct, whose close deletes the reader. */
    static onnx_infer_reader c_struct(Reader *reader)
    {
        onnx_infer_reader r{};
        r.struct_size = sizeof r;
        r.user = reader;
        r.size = [](void *user) { return static_cast<Reader *>(user)->size(); };
        r.read_at = [](void *user, std::uint64_t offset, void *to, std::size_t n) {
            return static_cast<Reader *>(user)->read_at(offset, to, n);
        };
        r.map = [](void *user, std::uint64_t offset, std::size_t n) { return static_cast<Reader *>(user)->map(offset, n); };
        r.open_external = [](void *user, const char *location, onnx_infer_reader *out) {
            std::unique_ptr<Reader> other = static_cast<Reader *>(user)->open_external(location);
            if (!other)
                return 1;
            *out = c_struct(other.release());
            return 0;
        };
        r.close = [](void *user) { delete static_cast<Reader *>(user); };
        return r;
    }
};

/* An input or output; borrowed from its model. */
class Port {
public:
    explicit Port(const onnx_infer_port *p) : p_(p) {}
    const onnx_infer_port *get() const { return p_; }
    std::string_view name() const { return detail::text(onnx_infer_port_name(p_)); }
    onnx_infer_kind kind() const { return onnx_infer_port_kind(p_); }
    onnx_infer_dtype dtype() const { return onnx_infer_port_dtype(p_); }
    std::int32_t rank() const { return onnx_infer_port_rank(p_); }
    /* -1: not fixed. */
    std::int64_t dim(std::int32_t axis) const { return onnx_infer_port_dim(p_, axis); }
    /* "3", "batch", "2*seq + 1", "?". */
    std::string_view dim_expr(std::int32_t axis) const { return detail::text(onnx_infer_port_dim_expr(p_, axis)); }
    /* All dims; `open` stands where the model leaves one open. */
    std::vector<std::int64_t> shape(std::int64_t open = -1) const
    {
        std::vector<std::int64_t> dims;
        for (std::int32_t axis = 0; axis < rank(); axis++)
            dims.push_back(dim(axis) < 0 ? open : dim(axis));
        return dims;
    }
    bool optional() const { return onnx_infer_port_is_optional(p_) != 0; }

private:
    const onnx_infer_port *p_;
};

/* A graph with its weights. */
class Model : public detail::shared<onnx_infer_model, onnx_infer_model_retain, onnx_infer_model_release> {
public:
    Model() = default;
    /* path: text in UTF-8 or a std::filesystem::path. */
    template <class Path> static outcome<Model> load(const Path &path, const Options *o = nullptr)
    {
        return make(o, [&](const onnx_infer_options *c, onnx_infer_model **out) {
            return onnx_infer_model_load_file(detail::utf8(path).c_str(), c, out);
        });
    }
    template <class Path> static outcome<Model> load(const Path &path, const Options &o) { return load(path, &o); }
    /* The bytes are copied. */
    static outcome<Model> load_memory(const void *bytes, std::size_t n, const Options *o = nullptr)
    {
        return make(o, [&](const onnx_infer_options *c, onnx_infer_model **out) {
            return onnx_infer_model_load_memory(bytes, n, nullptr, nullptr, c, out);
        });
    }
    /* Keeps the vector instead of copying it. */
    static outcome<Model> load_memory(std::vector<std::uint8_t> &&bytes, const Options *o = nullptr)
    {
        using vector = std::vector<std::uint8_t>;
        auto kept = std::make_unique<vector>(std::move(bytes));
        return make(o, [&](const onnx_infer_options *c, onnx_infer_model **out) {
            onnx_infer_status status = onnx_infer_model_load_memory(
                kept->data(), kept->size(), [](void *user, void *) { delete static_cast<vector *>(user); }, kept.get(), c, out);
            if (status == ONNX_INFER_OK)
                static_cast<void>(kept.release());
            return status;
        });
    }
    /* The reader lives as long as the model. */
    static outcome<Model> load_reader(std::unique_ptr<Reader> reader, const Options *o = nullptr)
    {
        return make(o, [&](const onnx_infer_options *c, onnx_infer_model **out) {
            onnx_infer_reader r = Reader::c_struct(reader.get());
            onnx_infer_status status = onnx_infer_model_load_reader(&r, c, out);
            if (status == ONNX_INFER_OK)
                static_cast<void>(reader.release());
            return status;
        });
    }
    /* Reads although something in it is unsupported: see issues(). */
    template <class Path> static outcome<Model> peek(const Path &path, const Options *o = nullptr)
    {
        return make(o, [&](const onnx_infer_options *c, onnx_infer_model **out) {
            return onnx_infer_model_peek_file(detail::utf8(path).c_str(), c, out);
        });
    }
    /* Takes a reference of its own. */
    static Model of(onnx_infer_model *m) { return Model(onnx_infer_model_retain(m)); }

    /* A model of its own with the sizes that the options fix. */
    outcome<Model> specialize(const Options &o) const
    {
        return make(&o, [&](const onnx_infer_options *c, onnx_infer_model **out) {
            return onnx_infer_model_specialize(get(), c, out);
        });
    }
    /* Writes the model, simplified unless the options' level is 0, as ONNX; sizes that the options fix are fixed. */
    template <class Path> outcome<void> save(const Path &path, const Options *o = nullptr) const
    {
        return detail::with(o, [&](const onnx_infer_options *c) {
            return onnx_infer_model_save_onnx_file(get(), c, detail::utf8(path).c_str());
        });
    }
    /* The bytes of such a file. */
    outcome<std::vector<std::uint8_t>> save_memory(const Options *o = nullptr) const
    {
        std::vector<std::uint8_t> bytes;
        onnx_infer_writer w = {sizeof w, &bytes, detail::append_bytes};
        return detail::with(
            o, [&](const onnx_infer_options *c) { return onnx_infer_model_save_onnx(get(), c, &w, nullptr, nullptr); },
            [&] { return std::move(bytes); });
    }

    std::vector<Port> inputs() const { return ports(onnx_infer_model_input_count(get()), onnx_infer_model_input); }
    std::vector<Port> outputs() const { return ports(onnx_infer_model_output_count(get()), onnx_infer_model_output); }
    std::optional<std::size_t> input_index(const std::string &name) const
    {
        return index(onnx_infer_model_input_index(get(), name.c_str()));
    }
    std::optional<std::size_t> output_index(const std::string &name) const
    {
        return index(onnx_infer_model_output_index(get(), name.c_str()));
    }
    std::vector<std::string_view> symbols() const
    {
        std::vector<std::string_view> all;
        for (std::size_t i = 0; i < onnx_infer_model_symbol_count(get()); i++)
            all.emplace_back(onnx_infer_model_symbol(get(), i));
        return all;
    }
    std::string_view property(const std::string &key) const { return detail::text(onnx_infer_model_property(get(), key.c_str())); }
    struct Opset {
        std::string_view domain;
        std::int64_t version;
    };
    std::vector<Opset> opsets() const
    {
        std::vector<Opset> all;
        for (std::size_t i = 0; i < onnx_infer_model_opset_count(get()); i++) {
            const char *domain = nullptr;
            std::int64_t version = 0;
            if (onnx_infer_model_opset(get(), i, &domain, &version) == ONNX_INFER_OK)
                all.push_back({detail::text(domain), version});
        }
        return all;
    }
    std::vector<std::pair<std::string_view, std::string_view>> metadata() const
    {
        std::vector<std::pair<std::string_view, std::string_view>> all;
        for (std::size_t i = 0; i < onnx_infer_model_metadata_count(get()); i++) {
            const char *key = nullptr, *value = nullptr;
            if (onnx_infer_model_metadata(get(), i, &key, &value) == ONNX_INFER_OK)
                all.emplace_back(detail::text(key), detail::text(value));
        }
        return all;
    }
    std::vector<error> issues() const
    {
        std::vector<error> all;
        for (std::size_t i = 0; i < onnx_infer_model_issue_count(get()); i++)
            all.push_back(error::of(onnx_infer_model_issue(get(), i)));
        return all;
    }

private:
    explicit Model(onnx_infer_model *m) : shared(m, adopt()) {}
    template <class Load> static outcome<Model> make(const Options *o, Load load)
    {
        onnx_infer_model *m = nullptr;
        return detail::with(
            o, [&](const onnx_infer_options *c) { return load(c, &m); }, [&] { return Model(m); });
    }
    template <class At> std::vector<Port> ports(std::size_t n, At at) const
    {
        std::vector<Port> all;
        for (std::size_t i = 0; i < n; i++)
            all.emplace_back(at(get(), i));
        return all;
    }
    static std::optional<std::size_t> index(std::int64_t i)
    {
        return i < 0 ? std::nullopt : std::optional<std::size_t>(static_cast<std::size_t>(i));
    }
};

namespace detail {
inline std::vector<const onnx_infer_value *> handles(span<const Value> in)
{
    std::vector<const onnx_infer_value *> all;
    for (const Value &v : in)
        all.push_back(v.get());
    return all;
}
/* Calls run(n, handles) for outputs of which those that are not empty are written into, and fills the empty ones. */
template <class Run> onnx_infer_status run_into(span<Value> out, Run run)
{
    std::vector<onnx_infer_value *> made;
    for (const Value &v : out)
        made.push_back(v.get());
    onnx_infer_status status = run(made.size(), made.data());
    for (std::size_t i = 0; status == ONNX_INFER_OK && i < made.size(); i++) {
        if (!out[i])
            out[i] = Value::adopt(made[i]);
    }
    return status;
}
inline onnx_infer_memory no_memory()
{
    onnx_infer_memory m{};
    m.struct_size = sizeof m;
    return m;
}
} // namespace detail

/* A model compiled for this machine. */
class Plan : public detail::shared<onnx_infer_plan, onnx_infer_plan_retain, onnx_infer_plan_release> {
public:
    Plan() = default;
    static outcome<Plan> create(const Model &m, const Options *o = nullptr)
    {
        onnx_infer_plan *p = nullptr;
        return detail::with(
            o, [&](const onnx_infer_options *c) { return onnx_infer_plan_create(m.get(), c, &p); }, [&] { return Plan(p); });
    }
    static outcome<Plan> create(const Model &m, const Options &o) { return create(m, &o); }
    /* Takes a reference of its own. */
    /* The plan as bytes, for the same version and instruction set. */
    outcome<std::vector<std::uint8_t>> save() const
    {
        std::vector<std::uint8_t> bytes;
        onnx_infer_writer w = {sizeof w, &bytes, detail::append_bytes};
        onnx_infer_status status = onnx_infer_plan_save(get(), &w);
        return detail::finish(status, [&] { return std::move(bytes); });
    }
    static outcome<Plan> load(Reader &reader, const Options *o = nullptr)
    {
        onnx_infer_plan *p = nullptr;
        onnx_infer_reader r = Reader::c_struct(&reader);
        return detail::with(
            o, [&](const onnx_infer_options *c) { return onnx_infer_plan_load(&r, c, &p); }, [&] { return Plan(p); });
    }
    static Plan of(onnx_infer_plan *p) { return Plan(onnx_infer_plan_retain(p)); }

    Model model() const { return Model::of(const_cast<onnx_infer_model *>(onnx_infer_plan_model(get()))); }
    outcome<onnx_infer_memory> memory() const
    {
        onnx_infer_memory m = detail::no_memory();
        onnx_infer_status status = onnx_infer_plan_memory(get(), &m);
        return detail::finish(status, [&] { return m; });
    }
    std::size_t step_count() const { return onnx_infer_plan_step_count(get()); }
    outcome<onnx_infer_event> step(std::size_t i) const
    {
        onnx_infer_event e{};
        e.struct_size = sizeof e;
        onnx_infer_status status = onnx_infer_plan_step(get(), i, &e);
        return detail::finish(status, [&] { return e; });
    }
    /* The shape of an output for inputs of these shapes, without running. */
    outcome<std::vector<std::int64_t>> output_shape(span<const std::vector<std::int64_t>> inputs, std::size_t output = 0) const
    {
        std::vector<std::int32_t> ranks;
        std::vector<const std::int64_t *> dims;
        for (const auto &input : inputs) {
            ranks.push_back(static_cast<std::int32_t>(input.size()));
            dims.push_back(input.data());
        }
        std::int32_t rank = 0;
        std::vector<std::int64_t> out(8);
        auto ask = [&] {
            return onnx_infer_plan_output_shape(get(), ranks.size(), ranks.data(), dims.data(), output, &rank, out.data(),
                                                static_cast<std::int32_t>(out.size()));
        };
        onnx_infer_status status = ask();
        if (status == ONNX_INFER_E_BUFFER_TOO_SMALL) {
            out.resize(static_cast<std::size_t>(rank));
            status = ask();
        }
        return detail::finish(status, [&] {
            out.resize(static_cast<std::size_t>(rank));
            return std::move(out);
        });
    }
    /* From any number of threads at once. All outputs of the model. */
    outcome<std::vector<Value>> run(span<const Value> in, const RunOptions *ro = nullptr) const
    {
        std::vector<Value> out(onnx_infer_model_output_count(onnx_infer_plan_model(get())));
        auto handles = detail::handles(in);
        return detail::with(
            ro,
            [&](const onnx_infer_run_options *c) {
                return detail::run_into(out, [&](std::size_t no, onnx_infer_value **made) {
                    return onnx_infer_plan_run(get(), c, handles.size(), handles.data(), no, made);
                });
            },
            [&] { return std::move(out); });
    }
    outcome<std::vector<Value>> run(std::initializer_list<Value> in, const RunOptions *ro = nullptr) const
    {
        return run(span<const Value>(in.begin(), in.size()), ro);
    }

private:
    explicit Plan(onnx_infer_plan *p) : shared(p, adopt()) {}
};

/* --- contexts --------------------------------------------------------------------------------------------------------- */

/* One thread's state for running a plan. */
class Context : public detail::owned<onnx_infer_context, onnx_infer_context_free> {
public:
    Context() = default;
    /* Load, plan and create in one call. */
    template <class Path> static outcome<Context> open(const Path &path, const Options *o = nullptr)
    {
        onnx_infer_context *c = nullptr;
        return detail::with(
            o, [&](const onnx_infer_options *set) { return onnx_infer_context_open(detail::utf8(path).c_str(), set, &c); },
            [&] { return Context(c); });
    }
    template <class Path> static outcome<Context> open(const Path &path, const Options &o) { return open(path, &o); }
    static outcome<Context> create(const Plan &p)
    {
        onnx_infer_context *c = nullptr;
        onnx_infer_status status = onnx_infer_context_create(p.get(), &c);
        return detail::finish(status, [&] { return Context(c); });
    }
    /* With the bindings and a copy of the state. */
    outcome<Context> clone() const
    {
        onnx_infer_context *c = nullptr;
        onnx_infer_status status = onnx_infer_context_clone(get(), &c);
        return detail::finish(status, [&] { return Context(c); });
    }

    Plan plan() const { return Plan::of(const_cast<onnx_infer_plan *>(onnx_infer_context_plan(get()))); }
    Model model() const { return plan().model(); }
    outcome<onnx_infer_memory> memory() const
    {
        onnx_infer_memory m = detail::no_memory();
        onnx_infer_status status = onnx_infer_context_memory(get(), &m);
        return detail::finish(status, [&] { return m; });
    }
    outcome<void> trim() { return detail::finish(onnx_infer_context_trim(get())); }
    /* The memory stays the caller's and outlives the context. */
    outcome<void> set_arena(span<std::byte> memory)
    {
        return detail::finish(onnx_infer_context_set_arena(get(), memory.data(), memory.size()));
    }

    /* All outputs of the model, for inputs in the model's order; an empty Value stands for an input left out. */
    outcome<std::vector<Value>> run(span<const Value> in, const RunOptions *ro = nullptr)
    {
        std::vector<Value> out(onnx_infer_model_output_count(onnx_infer_plan_model(onnx_infer_context_plan(get()))));
        return detail::with(
            ro, [&](const onnx_infer_run_options *c) { return run_status(c, in, out); }, [&] { return std::move(out); });
    }
    outcome<std::vector<Value>> run(std::initializer_list<Value> in, const RunOptions *ro = nullptr)
    {
        return run(span<const Value>(in.begin(), in.size()), ro);
    }
    /* One input, the first output. */
    outcome<Value> run1(const Value &in, const RunOptions *ro = nullptr)
    {
        Value out;
        return detail::with(
            ro, [&](const onnx_infer_run_options *c) { return run_status(c, {&in, 1}, {&out, 1}); },
            [&] { return std::move(out); });
    }
    /* Values in `out` are written into, empty ones are made. */
    outcome<void> run_into(span<const Value> in, span<Value> out, const RunOptions *ro = nullptr)
    {
        return detail::with(ro, [&](const onnx_infer_run_options *c) { return run_status(c, in, out); });
    }
    using Named = std::pair<const char *, Value>;
    /* The outputs that are named; only what they need is computed. */
    outcome<std::vector<Value>> run_named(span<const Named> in, span<const char *const> outputs, const RunOptions *ro = nullptr)
    {
        std::vector<const char *> names;
        std::vector<const onnx_infer_value *> values;
        for (const Named &one : in) {
            names.push_back(one.first);
            values.push_back(one.second.get());
        }
        std::vector<Value> out(outputs.size());
        return detail::with(
            ro,
            [&](const onnx_infer_run_options *c) {
                return detail::run_into(out, [&](std::size_t no, onnx_infer_value **made) {
                    return onnx_infer_run_named(get(), c, names.size(), names.data(), values.data(), no, outputs.data(), made);
                });
            },
            [&] { return std::move(out); });
    }
    outcome<std::vector<Value>> run_named(std::initializer_list<Named> in, std::initializer_list<const char *> outputs,
                                          const RunOptions *ro = nullptr)
    {
        return run_named(span<const Named>(in.begin(), in.size()), span<const char *const>(outputs.begin(), outputs.size()), ro);
    }

    /* Bound runs. An empty Value unbinds. */
    outcome<void> bind_input(std::size_t i, const Value &v) { return detail::finish(onnx_infer_bind_input(get(), i, v.get())); }
    outcome<void> bind_output(std::size_t i, const Value &v) { return detail::finish(onnx_infer_bind_output(get(), i, v.get())); }
    /* fn(output, dtype, dims, bytes, align) returns memory or nullptr. It outlives the binding and does not throw. */
    template <class F> outcome<void> bind_output_fn(std::size_t i, F &fn)
    {
        return detail::finish(onnx_infer_bind_output_fn(
            get(), i,
            [](void *user, std::size_t output, onnx_infer_dtype dtype, std::int32_t rank, const std::int64_t *dims,
               std::size_t bytes, std::size_t align) -> void * {
                return (*static_cast<F *>(user))(output, dtype, span<const std::int64_t>(dims, static_cast<std::size_t>(rank)),
                                                 bytes, align);
            },
            &fn));
    }
    /* What a run gives as `output` is `input` of the next. */
    outcome<void> bind_state(std::size_t output, std::size_t input)
    {
        return detail::finish(onnx_infer_bind_state(get(), output, input));
    }
    outcome<void> unbind_all() { return detail::finish(onnx_infer_unbind_all(get())); }
    outcome<void> reset_state() { return detail::finish(onnx_infer_reset_state(get())); }
    outcome<void> run_bound(const RunOptions *ro = nullptr)
    {
        return detail::with(ro, [&](const onnx_infer_run_options *c) { return onnx_infer_run_bound(get(), c); });
    }
    /* Output of the last bound run; borrowed until the next: copy what is to stay. */
    Value output(std::size_t i) const { return Value::of(const_cast<onnx_infer_value *>(onnx_infer_output(get(), i))); }

    /* A bound run on a thread of the context; done(outcome) is called there, as std::optional<error>, and does not throw. */
    template <class F> outcome<void> run_async(F done, const RunOptions *ro = nullptr)
    {
        auto kept = std::make_unique<F>(std::move(done));
        return detail::with(ro, [&](const onnx_infer_run_options *c) {
            onnx_infer_status status = onnx_infer_run_async(
                get(), c,
                [](void *user, onnx_infer_status ended, const onnx_infer_error *e) {
                    std::unique_ptr<F> fn(static_cast<F *>(user));
                    (*fn)(ended == ONNX_INFER_OK ? std::optional<error>() : std::optional<error>(error(ended, e)));
                },
                kept.get());
            if (status == ONNX_INFER_OK)
                static_cast<void>(kept.release());
            return status;
        });
    }
    /* The same, to be waited for by what it returns. */
    outcome<std::future<outcome<void>>> run_async(const RunOptions *ro = nullptr)
    {
        std::promise<outcome<void>> promise;
        std::future<outcome<void>> future = promise.get_future();
        auto done = [promise = std::move(promise)](const std::optional<error> &e) mutable {
#if defined(ONNX_INFER_NO_EXCEPTIONS)
            promise.set_value(e ? result<void>(*e) : result<void>());
#else
            if (e)
                promise.set_exception(std::make_exception_ptr(*e));
            else
                promise.set_value();
#endif
        };
#if defined(ONNX_INFER_NO_EXCEPTIONS)
        result<void> begun = run_async(std::move(done), ro);
        if (!begun)
            return begun.failure();
#else
        run_async(std::move(done), ro);
#endif
        return future;
    }
    /* Until the asynchronous run ends; ONNX_INFER_E_BUSY after `timeout`. */
    outcome<void> wait(std::chrono::nanoseconds timeout = std::chrono::nanoseconds::max())
    {
        std::uint64_t ns = timeout == std::chrono::nanoseconds::max() ? UINT64_MAX : static_cast<std::uint64_t>(timeout.count());
        return detail::finish(onnx_infer_wait(get(), ns));
    }

private:
    using owned::owned;
    onnx_infer_status run_status(const onnx_infer_run_options *ro, span<const Value> in, span<Value> out)
    {
        auto handles = detail::handles(in);
        return detail::run_into(out, [&](std::size_t no, onnx_infer_value **made) {
            return onnx_infer_run(get(), ro, handles.size(), handles.data(), no, made);
        });
    }
};

} // inline namespace
} // namespace onnx_infer
#endif
