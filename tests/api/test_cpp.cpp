// onnx_infer.hpp: every class against small models, with exceptions and with results; the last line counts the checks.
#include <onnx_infer.hpp>

#include <cstdio>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <thread>

namespace oi = onnx_infer;

static int passed, failed;
static void check_at(bool ok, const char *what, int line)
{
    passed += ok;
    failed += !ok;
    if (!ok)
        std::printf("FAIL line %d: %s\n", line, what);
}
#define CHECK(condition) check_at((condition), #condition, __LINE__)

// The same tests in both modes: must() gives the value, status_of() what a call failed with.
#if defined(ONNX_INFER_NO_EXCEPTIONS)
template <class T> T must(oi::result<T> r)
{
    if (!r) {
        std::printf("FAIL %s: %s\n", r.failure().name(), r.failure().what());
        std::exit(1);
    }
    return std::move(r).value();
}
static void must(const oi::result<void> &r)
{
    if (!r) {
        std::printf("FAIL %s: %s\n", r.failure().name(), r.failure().what());
        std::exit(1);
    }
}
template <class F> onnx_infer_status status_of(F call)
{
    auto r = call();
    return r ? ONNX_INFER_OK : r.failure().code;
}
#define MUST(...) must(__VA_ARGS__)
#else
#define MUST(...) (__VA_ARGS__)
template <class F> onnx_infer_status status_of(F call)
{
    try {
        static_cast<void>(call());
        return ONNX_INFER_OK;
    } catch (const oi::error &e) {
        return e.code;
    }
}
#endif

static std::string model(const char *name)
{
    const char *top = std::getenv("top_srcdir");
    return std::string(top ? top : ".") + "/tests/data/seed-models/" + name + "/model.onnx";
}

static void test_static()
{
    CHECK(oi::version() == onnx_infer_version() && oi::version_number() == onnx_infer_version_number());
    CHECK(oi::max_ir_version() > 0 && oi::max_opset() > 0 && oi::max_opset("no.such") == 0);
    CHECK(oi::default_threads() >= 1 && !oi::cpu_isa().empty() && oi::operators().size() == onnx_infer_op_count());
    static_assert(!std::is_copy_constructible_v<oi::Context> && std::is_nothrow_move_constructible_v<oi::Context>);
    static_assert(!std::is_copy_constructible_v<oi::Options> && !std::is_copy_constructible_v<oi::Cancel>);
    static_assert(std::is_copy_constructible_v<oi::Value> && std::is_nothrow_move_constructible_v<oi::Value>);
}

static void test_values()
{
    std::vector<float> x{1, 2, 3, 4, 5, 6};
    oi::Value t = MUST(oi::Tensor::wrap(x, {2, 3}));
    CHECK(t.kind() == ONNX_INFER_TENSOR && t.dtype() == ONNX_INFER_FLOAT && t.rank() == 2 && t.count() == 6 && t.bytes() == 24);
    CHECK(t.shape().size() == 2 && t.shape()[1] == 3 && t.raw() == x.data() && t.mutable_raw() == x.data());
    oi::Value same = t;
    CHECK(MUST(same.data<float>())[5] == 6);
    MUST(same.mutable_data<float>())[5] = 7;
    CHECK(x[5] == 7);
    CHECK(status_of([&] { return t.data<double>(); }) == ONNX_INFER_E_TYPE_MISMATCH);
    CHECK(status_of([&] { return t.mutable_data<int>(); }) == ONNX_INFER_E_TYPE_MISMATCH);
    CHECK(status_of([&] { return oi::Tensor::wrap(x, {7}); }) == ONNX_INFER_E_BUFFER_TOO_SMALL);
    oi::Value moved = std::move(same);
    CHECK(!same && moved && moved.get() == t.get());

    oi::Value owned = MUST(oi::Tensor::own(std::vector<std::int64_t>{1, 2, 3}, {3}));
    CHECK(MUST(owned.data<std::int64_t>())[2] == 3);
    CHECK(status_of([] { return oi::Tensor::own(std::vector<float>(2), {3}); }) == ONNX_INFER_E_BUFFER_TOO_SMALL);
    oi::Value zeros = MUST(oi::Tensor::create<oi::float16>({4}));
    CHECK(MUST(zeros.data<oi::float16>())[3].bits == 0);
    oi::Value scalar = MUST(oi::Tensor::create(ONNX_INFER_BOOL, {}));
    CHECK(scalar.rank() == 0 && scalar.count() == 1);
    const std::vector<float> fixed{1, 2};
    CHECK(MUST(oi::Tensor::wrap(fixed, std::vector<std::int64_t>{2})).count() == 2);

    std::vector<std::string> words{"a", std::string("b\0c", 3)};
    oi::Value text = MUST(oi::Tensor::strings(words, {2}));
    CHECK(text.string(0) == "a" && text.string(1).size() == 3 && text.string(7).empty());
    MUST(text.set_string(0, "long enough for the heap, whatever the library keeps within"));
    CHECK(text.string(0).size() > 30);
    CHECK(status_of([&] { return text.set_string(2, "x"); }) == ONNX_INFER_E_INVALID_ARGUMENT);
    CHECK(status_of([&] { return oi::Tensor::strings(words, {3}); }) == ONNX_INFER_E_SHAPE_MISMATCH);

    oi::Value list = MUST(oi::Value::sequence()), maybe = MUST(oi::Value::optional());
    MUST(list.push(t));
    MUST(list.push(owned));
    CHECK(list.kind() == ONNX_INFER_SEQUENCE && list.size() == 2 && list[1].get() == owned.get() && !list[2]);
    CHECK(maybe.kind() == ONNX_INFER_OPTIONAL && maybe.size() == 0);
    oi::Value map = MUST(oi::Value::map(text, MUST(oi::Tensor::wrap(fixed, {2}))));
    CHECK(map.kind() == ONNX_INFER_MAP && map.keys().get() == text.get() && map.values().count() == 2);
    CHECK(status_of([&] { return oi::Value::map(t, t); }) == ONNX_INFER_E_TYPE_MISMATCH);
}

struct path_like { // stands for std::filesystem::path
    std::string text;
    std::string u8string() const { return text; }
};

struct FileReader : oi::Reader {
    explicit FileReader(const std::string &path)
    {
        std::ifstream in(path, std::ios::binary);
        bytes.assign(std::istreambuf_iterator<char>(in), {});
    }
    std::int64_t size() override { return static_cast<std::int64_t>(bytes.size()); }
    std::int64_t read_at(std::uint64_t offset, void *to, std::size_t n) override
    {
        std::memcpy(to, bytes.data() + offset, n);
        return static_cast<std::int64_t>(n);
    }
    std::unique_ptr<oi::Reader> open_external(const char *location) override
    {
        return location == std::string("weights.bin")
                   ? std::make_unique<FileReader>(model("simple_cnn_external").replace(model("simple_cnn_external").size() - 10, 10, "weights.bin"))
                   : nullptr;
    }
    std::vector<char> bytes;
};

static void test_models()
{
    oi::Model m = MUST(oi::Model::load(model("simple_cnn")));
    CHECK(m.inputs().size() == 1 && m.outputs().size() == 1);
    oi::Port in = m.inputs()[0];
    CHECK(in.name() == "input" && in.kind() == ONNX_INFER_TENSOR && in.dtype() == ONNX_INFER_FLOAT && in.rank() == 4);
    CHECK(in.dim(0) == -1 && in.dim_expr(0) == "batch_size" && in.dim_expr(9).empty() && !in.optional());
    CHECK(in.shape(2) == (std::vector<std::int64_t>{2, 1, 28, 28}));
    CHECK(m.input_index("input") == 0u && !m.output_index("input") && m.symbols().size() == 1 && m.symbols()[0] == "batch_size");
    CHECK(m.property("producer_name") == "pytorch" && m.property("no such").empty());
    CHECK(m.opsets().size() == 1 && m.opsets()[0].version == 11 && m.metadata().empty() && m.issues().empty());
    CHECK(status_of([] { return oi::Model::load(std::string("/no/such.onnx")); }) == ONNX_INFER_E_IO);
    CHECK(MUST(oi::Model::load(path_like{model("dummy_cell")})).inputs().size() == 1);
    CHECK(MUST(oi::Model::peek(model("dummy_cell"))).issues().empty());
    FileReader file(model("dummy_cell"));
    CHECK(MUST(oi::Model::load_memory(file.bytes.data(), file.bytes.size())).inputs().size() == 1);
    CHECK(MUST(oi::Model::load_memory(std::vector<std::uint8_t>(file.bytes.begin(), file.bytes.end()))).inputs().size() == 1);
    CHECK(status_of([] { return oi::Model::load_memory(std::vector<std::uint8_t>(9, 255)); }) == ONNX_INFER_E_PARSE);
    CHECK(MUST(oi::Model::load_reader(std::make_unique<FileReader>(model("simple_cnn_external")))).inputs().size() == 1);
    CHECK(status_of([] { return oi::Model::load_reader(std::make_unique<FileReader>("/no/such")); }) != ONNX_INFER_OK);
}

static void test_runs()
{
    int steps = 0;
    auto progress = [&](std::size_t, std::size_t) { return ++steps > 0; };
    auto log = [](onnx_infer_log_level, std::string_view) {};
    oi::Options o;
    o.threads(2).level(2).symbol("batch", 2).limit("plans", 4).backend("cpu").cpu_isa("generic").progress(progress).log(log);
    oi::Context net = MUST(oi::Context::open(model("model_dynamic_0"), o));
    CHECK(steps >= 0 && net.model().inputs()[0].name() == "in");
    std::vector<float> x(2 * 3 * 100, 0.5f);
    oi::Value in = MUST(oi::Tensor::wrap(x, {2, 3, 10, 10}));
    oi::Value y = MUST(net.run1(in));
    CHECK(y.shape()[0] == 2 && y.shape()[3] == 8);
    std::vector<oi::Value> all = MUST(net.run({in}));
    CHECK(all.size() == 1 && !std::memcmp(all[0].raw(), y.raw(), y.bytes()));
    std::vector<oi::Value> named = MUST(net.run_named({{"in", in}}, {"out"}));
    CHECK(!std::memcmp(named[0].raw(), y.raw(), y.bytes()));
    std::vector<float> mine(y.count());
    oi::Value out = MUST(oi::Tensor::wrap(mine, {2, 3, 8, 8}));
    MUST(net.run_into({&in, 1}, {&out, 1}));
    CHECK(out.raw() == mine.data() && !std::memcmp(mine.data(), y.raw(), y.bytes()));
    CHECK(MUST(net.memory()).arena_now > 0 || MUST(net.memory()).arena_peak == 0);
    CHECK(MUST(net.plan().memory()).struct_size == sizeof(onnx_infer_memory));
    CHECK(net.plan().step_count() > 0 && MUST(net.plan().step(0)).kernel);
    CHECK(status_of([&] { return net.plan().step(99); }) == ONNX_INFER_E_NOT_FOUND);
    MUST(net.trim());

    oi::Profile profile = MUST(oi::Profile::create());
    oi::Cancel cancel = MUST(oi::Cancel::create());
    oi::RunOptions ro;
    ro.profile(profile).cancel(cancel).deadline(std::chrono::seconds(60)).seed(1);
    MUST(net.run1(in, &ro));
    CHECK(profile.size() > 0 && MUST(profile[0]).op && status_of([&] { return profile[99]; }) == ONNX_INFER_E_NOT_FOUND);
    cancel.fire();
    CHECK(status_of([&] { return net.run1(in, &ro); }) == ONNX_INFER_E_CANCELLED);
    cancel.reset();
    MUST(net.run1(in, &ro));

    std::vector<float> wrong(3);
    oi::Value bad = MUST(oi::Tensor::wrap(wrong, {3}));
    CHECK(status_of([&] { return net.run1(bad); }) == ONNX_INFER_E_SHAPE_MISMATCH);
    CHECK(status_of([&] { return net.run_named({{"nobody", in}}, {"out"}); }) == ONNX_INFER_E_NOT_FOUND);
    CHECK(status_of([] { return oi::Context::open("/no/such.onnx"); }) == ONNX_INFER_E_IO);
    oi::Plan plan = MUST(oi::Plan::create(MUST(oi::Model::load(model("dummy_cell")))));
    oi::Context second = MUST(oi::Context::create(plan));
    CHECK(second.plan().get() == plan.get());
    oi::ErrorRecord record;
    CHECK(onnx_infer_error_code(record.get()) == ONNX_INFER_E_IO);
}

// What fails in a setter: an exception there, or a result of the call that takes the options.
static void test_options_fail()
{
    CHECK(status_of([] {
              oi::Options o;
              o.level(99).threads(1);
              return oi::Model::load(model("dummy_cell"), &o);
          }) == ONNX_INFER_E_INVALID_ARGUMENT);
    CHECK(status_of([] {
              oi::Options o;
              o.backend("no such");
              return oi::Context::open(model("dummy_cell"), o);
          }) == ONNX_INFER_E_BACKEND_UNAVAILABLE);
}

static void test_bound_runs()
{
    oi::Pool pool = MUST(oi::Pool::create(2, std::chrono::microseconds(10)));
    oi::Cancel cancel = MUST(oi::Cancel::create());
    oi::Options o;
    o.pool(pool).deterministic(2).cancel(cancel).symbol_range("batch", 1, 2, 4);
    oi::Plan plan = MUST(oi::Plan::create(MUST(oi::Model::load(model("model_dynamic_0"), o)), o));
    std::vector<std::vector<std::int64_t>> shapes{{4, 3, 10, 10}};
    CHECK(MUST(plan.output_shape({shapes.data(), 1})) == (std::vector<std::int64_t>{4, 3, 8, 8}));
    CHECK(status_of([&] { return plan.output_shape({shapes.data(), 1}, 9); }) == ONNX_INFER_E_NOT_FOUND);
    std::vector<float> x(600, 1.0f), y(2 * 3 * 64);
    oi::Value in = MUST(oi::Tensor::wrap(x, {2, 3, 10, 10}));
    oi::Value once = MUST(plan.run({in}))[0];
    oi::Context net = MUST(oi::Context::create(plan));
    MUST(net.bind_input(0, in));
    MUST(net.bind_output(0, MUST(oi::Tensor::wrap(y, {2, 3, 8, 8}))));
    MUST(net.run_bound());
    CHECK(!std::memcmp(y.data(), once.raw(), once.bytes()) && net.output(0).raw() == y.data());
    oi::Context copy = MUST(net.clone());
    MUST(copy.run_bound());
    CHECK(!std::memcmp(copy.output(0).raw(), once.raw(), once.bytes()));

    std::vector<float> grown;
    auto memory = [&](std::size_t output, onnx_infer_dtype dtype, oi::span<const std::int64_t> dims, std::size_t bytes,
                      std::size_t align) -> void * {
        if (output != 0 || dtype != ONNX_INFER_FLOAT || dims.size() != 4 || align == 0)
            return nullptr;
        grown.resize(bytes / sizeof(float));
        return grown.data();
    };
    MUST(net.bind_output_fn(0, memory));
    auto future = MUST(net.run_async());
    MUST(net.wait());
    MUST(future.get());
    CHECK(grown.size() == y.size() && !std::memcmp(grown.data(), y.data(), once.bytes()));
    oi::Cancel stop = MUST(oi::Cancel::create());
    stop.fire();
    oi::RunOptions ro;
    ro.cancel(stop);
    bool ended = false;
    MUST(net.run_async([&](const std::optional<oi::error> &e) { ended = e && e->code == ONNX_INFER_E_CANCELLED; }, &ro));
    CHECK(status_of([&] { return net.wait(); }) == ONNX_INFER_E_CANCELLED && ended);
    CHECK(status_of([&] { return net.bind_input(9, in); }) == ONNX_INFER_E_NOT_FOUND);
    MUST(net.unbind_all());
    std::vector<std::byte> arena(1 << 20);
    MUST(net.set_arena({arena.data(), arena.size()}));
    CHECK(!std::memcmp(MUST(net.run1(in)).raw(), once.raw(), once.bytes()));

    oi::Context cell = MUST(oi::Context::open(model("dummy_cell_state")));
    std::vector<float> step(12, 0.25f);
    MUST(cell.bind_input(0, MUST(oi::Tensor::wrap(step, {3, 4}))));
    MUST(cell.bind_state(1, 1));
    MUST(cell.run_bound());
    const float first = MUST(cell.output(0).data<float>())[0];
    MUST(cell.run_bound());
    const float second = MUST(cell.output(0).data<float>())[0];
    MUST(cell.reset_state());
    MUST(cell.run_bound());
    CHECK(MUST(cell.output(0).data<float>())[0] == first && first != second);
}

// Takes the place of Relu in the small CNN: as Relu, but it says how it was made and may refuse.
struct Rectify {
    static inline int made, refuse;
    explicit Rectify(oi::OpContext x) : inputs(x.input_count())
    {
        made++;
        CHECK(!x.input(0) && x.output_count() == 1 && x.wanted(0) && !x.attr_int("none") && !x.attr_float("none"));
        CHECK(!x.attr_string("none") && !x.attr_ints("none") && !x.attr_floats("none") && !x.attr_strings("none") && !x.attr_tensor("none"));
    }
    static onnx_infer_status infer(oi::OpContext x)
    {
        CHECK(MUST(x.input_type(0)).dtype == ONNX_INFER_FLOAT && !MUST(x.input_dim(0, 0)).expr.empty());
        MUST(x.set_output_like(0, 0));
        return ONNX_INFER_OK;
    }
    onnx_infer_status compute(oi::OpContext x) const
    {
        if (refuse)
            return x.fail(ONNX_INFER_E_LIMIT, "refused");
#if !defined(ONNX_INFER_NO_EXCEPTIONS)
        if (x.node_name().empty())
            throw std::runtime_error("a node without a name");
#endif
        const oi::View in = x.input(0);
        oi::span<const float> from = MUST(in.data<float>());
        oi::span<float> to = MUST(x.output<float>(0, in.shape()));
        float *part = static_cast<float *>(x.scratch(4 * sizeof(float)));
        auto body = [&](std::size_t k) {
            part[k] = 0;
            for (std::size_t i = k; i < from.size(); i += 4)
                to[i] = from[i] > part[k] ? from[i] : part[k];
        };
        x.parallel_for(4, body);
        return inputs == 1 ? ONNX_INFER_OK : ONNX_INFER_E_INTERNAL;
    }
    std::size_t inputs;
};

static void test_operators()
{
    std::vector<float> x(784);
    for (std::size_t i = 0; i < x.size(); i++)
        x[i] = static_cast<float>(i % 7) / 7;
    oi::Value in = MUST(oi::Tensor::wrap(x, {1, 1, 28, 28}));
    onnx_infer_op_def def = oi::op_def<Rectify>("", "Relu");
    def.flags = ONNX_INFER_OP_OVERRIDE;
    oi::Options o;
    o.op(def);
    oi::Context ours = MUST(oi::Context::open(model("simple_cnn"), o)), theirs = MUST(oi::Context::open(model("simple_cnn")));
    oi::Value a = MUST(ours.run1(in)), b = MUST(theirs.run1(in));
    float most = 0;
    for (std::size_t i = 0; i < a.count(); i++)
        most = std::max(most, std::abs(MUST(a.data<float>())[i] - MUST(b.data<float>())[i]));
    CHECK(Rectify::made > 0 && most < 1e-4f);
    Rectify::refuse = 1;
    CHECK(status_of([&] { return ours.run1(in); }) == ONNX_INFER_E_LIMIT);
    CHECK(status_of([] {
              oi::Options other;
              other.op_library("/no/such/library.so");
              return oi::Model::load(model("dummy_cell"), &other);
          }) == ONNX_INFER_E_IO);
}

static void test_exchange()
{
    std::vector<float> m{1, 2, 3, 4, 5, 6};
    auto turned = MUST(oi::Tensor::wrap_strided(ONNX_INFER_FLOAT, {3, 2}, {4, 12}, m.data()));
    CHECK(MUST(turned.data<float>())[1] == 4);
    CHECK(status_of([&] { return oi::Tensor::wrap_strided(ONNX_INFER_FLOAT, {3, 2}, {4}, m.data()); }) ==
          ONNX_INFER_E_INVALID_ARGUMENT);
    auto back = MUST(oi::Tensor::from_dlpack(MUST(turned.to_dlpack())));
    CHECK(MUST(back.data<float>()).data() == MUST(turned.data<float>()).data());
    auto whole = MUST(oi::Tensor::create<std::int32_t>({3, 2}));
    MUST(whole.copy_from(turned));
    CHECK(MUST(whole.data<std::int32_t>())[3] == 5);
    oi::Model net = MUST(oi::Model::load(model("dummy_cell")));
    auto bytes = MUST(net.save_memory());
    oi::Model again = MUST(oi::Model::load_memory(std::move(bytes)));
    CHECK(again.inputs().size() == net.inputs().size());
    CHECK(status_of([&] { return net.save("/nowhere/m.onnx"); }) == ONNX_INFER_E_IO);
    CHECK(oi::op_supported("", "Conv", 11, "cpu") && !oi::op_supported("", "Conv", 11, "abacus") && !oi::build_info().empty());
    CHECK(oi::backends().size() == 1 && status_of([&] { return oi::backend_probe("abacus"); }) == ONNX_INFER_E_BACKEND_UNAVAILABLE);
    int heard = 0;
    auto hear = [&](onnx_infer_log_level, std::string_view) { heard++; };
    MUST(oi::set_log(hear, ONNX_INFER_LOG_DEBUG));
    oi::Options o;
    oi::reset_log();
    o.set("symbol.nothing", "3").set("threads", "1").external("nowhere.bin", m.data(), 4);
    MUST(oi::Plan::create(net, o));
    CHECK(heard > 0);
    auto fixed = MUST(net.specialize(o));
    CHECK(fixed.property("xxh128") == net.property("xxh128") && net.property("xxh128").size() == 32);
    oi::Options wrong;
    std::vector<std::string> names{"no such value"};
    wrong.outputs(oi::span<const std::string>(names.data(), names.size())).initializer("nothing", turned);
    CHECK(status_of([&] { return oi::Model::load(model("dummy_cell"), wrong); }) == ONNX_INFER_E_NOT_FOUND);
    auto p = MUST(oi::Profile::create());
    CHECK(MUST(p.json()).find("traceEvents") != std::string::npos);
}

int main()
{
    test_static();
    test_values();
    test_models();
    test_runs();
    test_options_fail();
    test_bound_runs();
    test_operators();
    test_exchange();
    std::printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
