"""Detect Chinese names by segmentation: a run of characters is read as words and names, whichever is more
probable.

A list has the frequency of each word, and of each character as a surname, or as the first, second or only
character of a given name; a name is a surname and one or two characters. The most probable segmentation
(Viterbi) is found with ln P(name) raised by `NAMES_COUNT`: taking a word for a person costs a word, the
reverse leaves a person in the text. `benchmarks/deid_words_chinese.py` makes the list.
"""

from __future__ import annotations

import gzip
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

FILE = Path(__file__).with_name("chinese_words.txt.gz")
COMMON = (
    "赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨朱秦尤许何吕施张孔曹严华金魏陶姜戚谢邹喻柏水窦章云苏潘葛奚范彭郎鲁韦昌马苗凤花方俞任袁柳鲍史唐费廉岑薛雷贺倪汤滕殷罗毕郝"
    "邬安常乐于时傅皮卞齐康伍余元卜顾孟平黄和穆萧尹姚邵湛汪祁毛禹狄米贝明臧计伏成戴谈宋茅庞熊纪舒屈项祝董梁杜阮蓝闵席季麻强贾路娄危江童颜郭梅盛林刁钟徐邱骆高"
    "夏蔡田樊胡凌霍虞万支柯昝管卢莫经房裘缪干解应宗丁宣贲邓郁单杭洪包诸左石崔吉钮龚程嵇邢滑裴陆荣翁荀羊惠甄曲家封芮储靳汲邴糜松井段富巫乌焦巴弓牧隗山谷车侯宓"
    "蓬全郗班仰秋仲伊宫宁仇栾暴甘厉戎祖武符刘景詹束龙叶幸司韶郜黎蓟薄印宿白怀蒲邰从鄂索咸籍赖卓蔺屠蒙池乔阴胥能苍双闻莘党翟谭贡劳逄姬申扶堵冉宰郦雍桑桂濮牛寿"
    "通边扈燕冀浦尚农温别庄晏柴瞿阎充慕连茹习宦艾鱼容向古易慎戈廖庾终暨居衡步都耿满弘匡国文寇广禄阙东欧沃利蔚越夔隆师巩厍聂晁勾敖融冷訾辛阚那简饶曾沙乜养鞠须丰"
    "巢关蒯相查后荆红游竺权逯盖益桓公肖闫佟覃付邸代尧岳商牟佘伯佴赏墨哈谯笪年爱阳冼涂谌仝官楚苑晋苟豆位盘南"
)
RARE = (
    "赫鄢鲜冶旷况励令溥漆帅寻言药恽禚颉僪钭郇酆鄞鄯郏佼佀琚啜占字呙迮郯邾郐佚亶忻羿芈漕葭昃"
    "兰芦迟楼丛亓修原亢朴练但巨矫揭刑敬麦綦郄隋栗缑战邝庹仉"
    "候鹿雒展卿呼海木辜税区由粘银线衣次火洛勒才户斯初帖智是纵禤揣寸色拜仁撒依热喇母哈青撖塔裔锁门奉拓苌璩"
)
SURNAMES = frozenset(COMMON + RARE)
DOUBLE = tuple(
    (
        "欧阳 司马 上官 诸葛 东方 皇甫 尉迟 公孙 慕容 司徒 令狐 夏侯 宇文 长孙 端木 百里 南宫 轩辕 独孤 申屠"
        " 赫连 钟离 闻人 澹台 呼延 公冶"
    ).split()
)
NAMES_COUNT = 4.0  # natural logarithm; chosen on the sets "tune" to "newest" of benchmarks/deid_text.py
LONGEST = 4
# in no name of the list
RARE_SHARE = {"surname": 0.02 / 600, "only": 0.1 / 7000, "first": 0.1 / 7000, "second": 0.1 / 7000}
ONE, TWO = math.log(0.12), math.log(0.88)  # how often given names have so many characters


@dataclass
class Counts:
    """Log probabilities of words and of the parts of names.

    Attributes:
        words: word -> ln of its share.
        parts: position in a name (surname, first, second, only) -> characters -> ln of their share.
        unknown: ln of the share of a character that is not a word of the list.
    """

    words: dict[str, float] = field(default_factory=dict)  # -> ln of the share
    parts: dict[str, dict[str, float]] = field(default_factory=dict)
    unknown: float = 0.0

    def name(self, surname: str, given_name: str) -> float:
        """Compute the log probability of a name, raised by NAMES_COUNT.

        Args:
            surname: one or two characters.
            given_name: one or two characters.

        Returns:
            Natural logarithm; only differences to words have a meaning.
        """
        # ln P(given name): length, then its characters by position
        long = (
            TWO + self.part("first", given_name[0]) + self.part("second", given_name[1])
            if len(given_name) == 2
            else ONE + self.part("only", given_name)
        )
        return NAMES_COUNT + self.part("surname", surname) + long

    def part(self, position: str, characters: str) -> float:
        """Look up the log probability of a part of a name.

        Args:
            position: surname, first, second or only.
            characters: of the part.

        Returns:
            Natural logarithm; that of RARE_SHARE where no name of the list has them.
        """
        return self.parts[position].get(characters, math.log(RARE_SHARE[position]))


@cache
def model() -> Counts:
    """Load the counts of words and names, once.

    Returns:
        The log probabilities, smoothed by RARE_SHARE; the file has counts as steps of half a natural
        logarithm.
    """
    tables: dict[str, dict[str, float]] = {}
    with gzip.open(FILE, "rt", encoding="utf-8") as file:
        for line in file:
            table, step, *entries = line.split()
            tables.setdefault(table, {}).update(dict.fromkeys(entries, math.exp(int(step) / 2)))
    result = Counts()
    for table, counts in tables.items():
        # ln(count / total + r): r = RARE_SHARE is the share of a part that no name of the list has
        total = sum(counts.values())
        rare = RARE_SHARE.get(table, 0.0)
        shares = {entry: math.log(count / total + rare) for entry, count in counts.items()}
        if table == "word":
            result.words, result.unknown = shares, math.log(1 / total) - 1
        else:
            result.parts[table] = shares
    return result


def surname(text: str, at: int = 0) -> int:
    """Return how many characters from `at` may be a surname.

    Returns:
        2, 1 or 0.
    """
    return 2 if text[at : at + 2] in DOUBLE else int(text[at : at + 1] in SURNAMES)


def find(run: str) -> Iterator[tuple[int, int]]:
    """Find names in a run of Chinese characters by its most probable reading (Viterbi).

    Args:
        run: Chinese characters only.

    Yields:
        (start, end) of each name, from the last to the first.
    """
    # Viterbi over end positions: best[i] is the largest log probability of a reading of run[:i],
    # back[i] where its last piece begins and whether that piece is a name
    counts, end = model(), len(run)
    best, back = [0.0] + [-math.inf] * end, [(0, False)] * (end + 1)
    for at in range(end):
        # a word of up to LONGEST characters, or one unknown character
        for stop in range(at + 1, min(end, at + LONGEST) + 1):
            share = counts.words.get(run[at:stop], counts.unknown if stop == at + 1 else None)
            if share is not None and best[at] + share > best[stop]:
                best[stop], back[stop] = best[at] + share, (at, False)
        # a name: a surname of one or two characters, then a given name of one or two
        for long in {surname(run, at), int(run[at] in SURNAMES)} - {0}:
            for stop in range(at + long + 1, min(end, at + long + 2) + 1):
                share = counts.name(run[at : at + long], run[at + long : stop])
                if best[at] + share > best[stop]:
                    best[stop], back[stop] = best[at] + share, (at, True)
    # follow the back pointers from the end of the run
    while end:
        start, named = back[end]
        if named:
            yield start, end
        end = start
