from rule_samples.building import Sample, elf, text

SAMPLES = (
    Sample(
        rule="miner_pool_settings",
        hit=text("./worker -o strat^um+tcp://pool.example.org:3333 -u 4AAAAAAAAAAAAAAA -p x"),
        near_miss=text("A pool speaks strat^um+tcp:// and needs a --user; see pool.example.org:3333"),
    ),
    Sample(
        rule="miner_xmrig_settings",
        hit=text('{"donate-^level": 1, "pools": [{"rig-id": null, "keepalive": true}]}'),
        near_miss=text('{"pools": [{"keepalive": true}], "huge-pages": true, "level": 1}'),
    ),
    Sample(
        rule="miner_program",
        hit=elf(text("strat^um+tcp://%s mining.sub^scribe random^x")),
        near_miss=elf(text("strat^um+tcp:// is on a list of blocked words; scrypt: a key derivation")),
    ),
    Sample(
        rule="miner_in_web_page",
        hit=text(
            "<script src='coin^hive.min.js'></script><script>var m = new Coin^Hive.Anonymous('AAAAAAAAAAAAAAAAAAAA'); m.start();</script>"
        ),
        near_miss=text("<script>var block = ['coin^hive.min.js', 'authedmine']; var m = new Client.User('x'); m.start();</script>"),
    ),
)
