"""What is wrong with channels as declared: told with file, key and cure, and never a secret."""

import re
from pathlib import Path

import pytest

from digest.config_social import X_PRICES
from digest.errors import ConfigError
from digest.settings import load_config

ROOT = Path(__file__).parents[1]
SECRET = "hunter2"
KEYS = {
    "x": ("consumer_key", "consumer_secret", "access_token", "access_token_secret"),
    "mastodon": ("access_token",),
    "bluesky": ("app_password",),
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "config").mkdir()
    for file in (ROOT / "config").glob("*.toml"):
        (tmp_path / "config" / file.name).write_bytes(file.read_bytes())
    return tmp_path


def test_the_examples_of_real_accounts_are_in_order(home):
    path = home / "config" / "channels.toml"
    text = path.read_text(encoding="utf-8")
    path.write_text(re.sub(r"(?m)^#\| ", "", text), encoding="utf-8")
    names = re.findall(r"\$\{([A-Z_]+)\}", text)
    config = load_config(home, dict.fromkeys(names, "k"))
    real = {s: c for s, c in config.channels.items() if c.kind == "account"}
    assert {channel.network for channel in real.values()} == {"x", "mastodon", "bluesky"}
    assert real["x-real"].prices == X_PRICES
    # As it comes, nothing leaves this machine.
    path.write_text(text, encoding="utf-8")
    assert {c.kind for c in load_config(home, {}).channels.values()} == {"preview"}


@pytest.fixture
def faults(home):
    """What is told of a channel "mine" with these lines, by the key below it."""

    def read(*lines: str, network: str = "x", environment=None) -> dict[str, str]:
        declared = "\n".join(("[channels.mine]", f'network = "{network}"', *lines))
        (home / "config" / "mine.toml").write_text(declared, encoding="utf-8")
        try:
            load_config(home, environment or {})
        except ConfigError as error:
            told = error.problems
        else:
            told = ()
        assert {problem.file for problem in told} <= {"config/mine.toml"}
        return {p.key.removeprefix("channels.mine").strip("."): p.message for p in told}

    return read


@pytest.mark.parametrize(
    ("lines", "key", "message"),
    [
        (['forms.ipv = "snippet"'], "forms", "no 'ipv'; allowed: ipc, pbr, socialcarefuture"),
        (['evergreen = { series = ["ipv"] }'], "evergreen.series", "no 'ipv'; allowed: ipc, pbr"),
        (["evergreen = { series = [] }"], "evergreen.series", "at least 1 item"),
        (['kind = "account"'], "", 'kind = "account" needs a table x with its keys'),
        (['mastodon.url = "https://m.example"', 'mastodon.access_token = "k"'], "",
         "has keys for mastodon, but its network is x"),
        (["slots.times = [22:00:00]", "slots.quiet = { after = 21:00:00, until = 07:00:00 }"],
         "slots.times", "all lie in the quiet hours, 21:00 to 07:00"),
        (["slots.times = [12:30:00]", "slots.quiet = { after = 12:00:00, until = 14:00:00 }"],
         "slots.times", "nothing could ever begin; name one outside"),
        (["slots.quiet = { after = 12:00:00, until = 12:00:00 }"], "slots.quiet", "must differ"),
        (["max_items = 60"], "max_items", "less than or equal to 25 (it is 60)"),
        (["season = 1"], "season", "unknown key; "),
    ],
)  # fmt: skip
def test_each_fault_of_a_channel_is_told_with_its_key_and_cure(faults, lines, key, message):
    found = faults(*lines)
    assert list(found) == [key]
    assert message in found[key]


def test_a_cap_on_what_costs_nothing_is_told(faults):
    found = faults('monthly_cap = "5"', network="mastodon")
    assert found == {
        "monthly_cap": (
            "nothing costs anything here, so it caps nothing; name prices, or leave it out"
        )
    }
    assert faults('monthly_cap = "5"') == {}
    assert faults('monthly_cap = "5"', 'prices.create = "0.01"', network="mastodon") == {}


def test_some_times_in_quiet_hours_are_no_fault(faults):
    quiet = "slots.quiet = { after = 21:00:00, until = 07:00:00 }"
    assert faults("slots.times = [22:00:00, 09:30:00]", quiet) == {}
    assert faults("slots.times = [07:00:00]", quiet) == {}


def test_a_channel_may_not_bear_the_name_of_all(home):
    (home / "config" / "mine.toml").write_text('[channels.all]\nnetwork = "x"\n')
    with pytest.raises(ConfigError, match="'all' means every channel; give it another name"):
        load_config(home, {})


def test_faults_of_channels_are_told_whatever_else_is_wrong(home):
    (home / "config" / "mine.toml").write_text(
        '[channels.mine]\nnetwork = "mastodon"\nmonthly_cap = "5"\n[themes.x]\ntitle = 3\n'
    )
    with pytest.raises(ConfigError) as caught:
        load_config(home, {})
    keys = {problem.key for problem in caught.value.problems}
    assert {"channels.mine.monthly_cap", "themes.x.title"} <= keys


# --- languages ---------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["english", "xx", "EN", "en_GB", ""])
def test_a_language_that_is_none_is_told(home, language):
    site = home / "config" / "site.toml"
    text = site.read_text(encoding="utf-8")
    line = f'language = "{language}"'
    site.write_text(text.replace("[site]\n", f"[site]\n{line}\n") if "language" not in text
                    else text.replace('language = "en-GB"', line))  # fmt: skip
    with pytest.raises(ConfigError, match=r"site\.language: no such language; use a code such as"):
        load_config(home, {})


# --- secrets -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("network", "key"), [(n, key) for n, keys in KEYS.items() for key in keys])
@pytest.mark.parametrize("value", [f'["{SECRET}"]', f'{{ is = "{SECRET}" }}', '"{0}"', '" "'])
def test_a_secret_is_never_repeated(faults, network, key, value):
    lines = [f'{network}.{other} = "{SECRET}-{other}"' for other in KEYS[network] if other != key]
    found = faults(f"{network}.{key} = {value}", *lines, 'kind = "acount"', network=network)
    assert found
    assert SECRET not in str(found)


@pytest.mark.parametrize("network", KEYS)
def test_a_secret_in_the_place_of_a_table_is_not_repeated(faults, network):
    found = faults(f'{network} = "{SECRET}"', network=network)
    assert found
    assert SECRET not in str(found)


def test_a_secret_under_a_key_that_is_mistyped_is_not_repeated(faults):
    found = faults(f'x.acess_token = "{SECRET}"')
    assert "did you mean 'access_token'?" in found["x.acess_token"]
    assert SECRET not in str(found)


def test_a_password_in_an_address_is_not_repeated(faults):
    found = faults(
        f'mastodon.url = "http://maya:{SECRET}@m.example"',
        'mastodon.access_token = "k"',
        network="mastodon",
    )
    assert "must be an https:// address" in found["mastodon.url"]
    assert SECRET not in str(found)


def test_a_secret_that_no_variable_holds_is_told_once(faults):
    lines = [f'x.{key} = "${{{key.upper()}}}"' for key in KEYS["x"]]
    found = faults('kind = "account"', *lines)
    assert found["x.consumer_key"] == "environment variable CONSUMER_KEY is not set; export it"
    assert set(found) == {f"x.{key}" for key in KEYS["x"]}
    held = {key.upper(): "k" for key in KEYS["x"]}
    assert faults('kind = "account"', *lines, environment=held) == {}
