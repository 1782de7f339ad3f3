"""Detect identifiers in Chinese text: names after labels, beside titles and by their characters
(`text_chinese_names`), the rest by patterns.
"""

# ruff: noqa: E501 - tables of patterns and words, one a line

from __future__ import annotations

import re
from collections.abc import Iterator

from medxiaohe.privacy import text_chinese_names
from medxiaohe.privacy.spans import Span

HAN = r"[\u4e00-\u9fff]"
RUN = re.compile(f"{HAN}+")
SURNAMES, DOUBLE = text_chinese_names.COMMON, "|".join(text_chinese_names.DOUBLE)
NAME = rf"(?:{DOUBLE}|[{SURNAMES}])(?:{HAN}{{1,2}}|某{{1,2}}|[×xX*]{{1,2}})"
SHORT = rf"(?:{DOUBLE}|[{SURNAMES}])"
TITLE = "主任医师|副主任医师|主治医师|住院医师|主任|医生|医师|大夫|教授|护士长|护士|护师|院长|先生|女士|小姐|老师|同志|阿姨|叔叔|大爷|大妈|技师|药师"
BEFORE = (
    "患者姓名|病人姓名|姓名|患者|病人|患儿|产妇|孕妇|家属|联系人|监护人|委托人|其子|其女|其妻|其夫|其母|其父|妻子|丈夫|儿子|女儿|母亲|父亲|配偶|之女|之子|之妻|之夫|之父|之母|签名|签字|审核|审签|核对|校对|复核|录入|申请医生|申请医师|转诊医师|检查医生|报告医生|"
    "主治医生|主治医师|经治医师|接诊医生|主管医师|主刀|术者|助手|麻醉师|记录者|记录人|审核者|报告医师|审核医师|检查医师|送检医师|医生|医师|护士|由|我叫|名叫|叫做|本人"
)
ENDS = r"(?=$|之|签|[\s,，。.;；:：、()（）\[\]【】!！?？/|]|男|女|先生|女士|小姐|的|于|因|诉|自|为|是|和|与|及|系|来|今|已|电话|手机|年龄|性别|身份|住|主诉|入院|出院|医生|医师|主任|教授|护士|\d)"
NOT_NAMES = frozenset("明显 常规 高热 黄疸 白细 水肿 安静 平素 时有 时间 严重 全身 和家 方可 向家 高血 于是 应用 经过 任何 常有 何时 何种 金黄 强烈 温度 连续 成年 能够 "
                      "都有 国内 文化 广泛 易感 古稀 向前 别人 花粉 水痘 白带 红肿 游走 管理 平时 云南 曾有 曾经 单纯 双侧 双下 双肺 双眼 全程 通过 包括 包块 终身 后续 后来 "
                      "年轻 年龄 景况 计划 习惯 步态 满意 关节 支气 干咳 左侧 左下 左上 石膏 解剖 解释 应该 安全 宁可 家人 家族 家属 富有 从未 从事 麻醉 方式 全科 相关 常规 经管 双方 单位 康复 时曾 后曾 时诉 时述".split())  # fmt: skip
DIGITS = r"[0-9０-９]"
PATTERNS: tuple[tuple[str, str], ...] = (
    ("ID", r"(?<!\d)\d{6}(?:19|20)\d{2}(?:0\d|1[0-2])(?:[0-2]\d|3[01])\d{3}[\dXx](?!\d)"),
    ("ID", rf"(?:身份证号?码?|证件号码?|住院号|病历号|病案号|门诊号|就诊卡号|就诊号|登记号|床号|床位|医保卡?号|社保卡?号|护照号?码?|卡号|编号|检查号|影像号|标本号|条码号?|工号|账号|QQ号?|微信号?|车牌号?)\s*[:：为是]?\s*((?=[\w-]*[0-9])[A-Za-z0-9_-]{{1,30}}{HAN}?)(?![A-Za-z0-9])"),
    ("ID", r"(?:微信号?|QQ号?)\s*[:：为是]?\s*([A-Za-z0-9_-]{4,20})"),
    ("ID", r"([京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼][A-Z][·]?[A-Z0-9]{5,6})"),
    ("ID", r"(\d{1,4})\s*[号]?床"),
    ("ID", rf"(?:{HAN}|[:：])\s*(\d{{7,}})(?![\d.])"),
    ("PHONE", r"(?<!\d)(?:\+?86[- ]?)?1[3-9]\d[- ]?\d{4}[- ]?\d{4}(?!\d)"),
    ("PHONE", r"(?<!\d)(?:0\d{2,3}[-－ ]?)\d{7,8}(?:[-转]\d{1,6})?(?!\d)"),
    ("PHONE", r"(?:电话|手机|联系方式|座机|传真)(?:号码?)?\s*[:：为是]?\s*([\d][\d －-]{5,18}\d)"),
    ("DATE", rf"(?:(?:公元)?(?:{DIGITS}{{4}}|{DIGITS}{{2}}|[〇零一二三四五六七八九]{{4}})\s*年\s*)?(?:{DIGITS}{{1,2}}|十[一二]?|[一二三四五六七八九])\s*月\s*(?:{DIGITS}{{1,2}}|[一二三]?十?[一二三四五六七八九十])\s*[日号]"),
    ("DATE", rf"(?:{DIGITS}{{4}}|[〇零一二三四五六七八九]{{4}})\s*年(?:\s*(?:{DIGITS}{{1,2}}|十[一二]?|[一二三四五六七八九])\s*月(?:份)?)?"),
    ("DATE", r"(?<!\d)(?:19|20)\d{2}[-/.年](?:1[0-2]|0?\d)[-/.月](?:[0-2]?\d|3[01])日?"),
    ("AGE", r"((?:9\d|1[0-3]\d)\s*(?:周?岁))"),
    ("AGE", r"年龄\s*[:：为]?\s*(9\d|1[0-3]\d)(?!\d)"),
    ("AGE", r"((?:九十|一百)[一二三四五六七八九零]{0,3}(?:多|余)?\s*岁)"),
    ("ADDRESS", rf"(?<=[，,。；;\s]住)(?![院在我院])({HAN}[^\s,，。;；\n]{{3,50}})"),
    ("ADDRESS", r"(?:家庭住址|家庭地址|现住址|住址|地址|户籍地?|籍贯|出生地|居住地|住所|工作单位|单位|现住于|家住|住在|现住)\s*[:：为是]?\s*([^\s,，。;；\n]{2,50})"),
    ("ADDRESS", rf"{HAN}{{2,7}}(?:省|自治区|特别行政区){HAN}{{0,8}}(?:市|州|盟|县|区)?(?:{HAN}{{1,8}}(?:区|县|市|旗))?(?:[{HAN[1:-1]}\w]{{1,20}}(?:路|街|道|巷|弄|村|镇|乡|小区|大厦|号|室|栋|幢|单元|楼|座))*[A-Za-z]?座?"),
    ("ADDRESS", rf"{HAN}{{2,4}}市{HAN}{{1,6}}(?:市|区|县|镇)(?:[{HAN[1:-1]}\w]{{1,20}}(?:路|街|道|巷|弄|村|小区|大厦|号|室|栋|幢|单元|楼|座))*[A-Za-z]?座?"),
    ("ADDRESS", rf"{HAN}{{1,8}}(?:路|街|大道|巷|弄|胡同)\s*\d{{1,5}}\s*号(?:院|楼)?(?:[{HAN[1:-1]}\w-]{{0,12}}(?:栋|幢|单元|室|楼|号))*"),
    ("PLACE", rf"(?<={HAN})?{HAN}{{2,16}}?(?:医院|卫生院|卫生所|卫生服务中心|医学院|门诊部|疗养院|妇幼保健院|大学|诊所)(?:第[一二三四五六七八九十]+(?:附属|临床)?医院|附属{HAN}{{0,6}}医院)?"),
)  # fmt: skip
PIECE, OVERLAP = 400, 80  # characters
COMPILED = tuple((kind, re.compile(pattern)) for kind, pattern in PATTERNS)
LABELLED = re.compile(
    rf"(?:患者姓名|病人姓名|姓名|联系人|监护人|签名|签字|记录者|记录人|审核者|术者|助手|麻醉师|主刀)\s*[:：]\s*({HAN}[{HAN[1:-1]}·]{{1,11}}?(?=$|[\s,，。;；、()（）|/]|性别|年龄)|[A-Za-z][A-Za-z .'-]{{1,30}})",
    re.M,
)
GIVEN = (  # characters that given names are made of
    "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉兰建国志文海燕红梅春晓雪婷欣怡浩然子轩梓涵雨泽思远嘉懿俊宇佳琪振东立新辉健鹏飞斌波峰龙云玲琴凤萍莉莲珍荣福贵生林森"
    "宏亮鑫博凯旭阳晨曦瑞祥成康庆德义仁礼智信忠孝顺安宁清洁颖慧蕾薇莹露茜瑶瑾璐倩雯蓉菊香彩月星辰光耀坤乾帆航川江河湖山石松柏竹桐榕枫叶若诗语梦琳珊珠宝金银铁钢锋锐"
    "利民族武威震雷鸣岩岭峻巍昊天宸逸铭昕睿哲翰学勤奋进步升腾达发展兴旺财富裕淑惠贤良美好艺馨雅韵洁贞爱怜巧妙姗姣媛婉娇妍妮娅冰霜寒冬夏秋正直方圆满全胜凯捷"
)
FULL = rf"(?:{DOUBLE}|[{SURNAMES}])[{GIVEN}]{{1,2}}"
BARE = re.compile(rf"(?:{BEFORE})\s*[:：]?\s*({FULL})", re.M)
WIDE = re.compile(
    rf"(?<![{GIVEN}])({FULL})(?=之[子女妻夫父母]|签[字名]|[，,]\s*[男女]|先生|女士|主任|医[生师])"
)
OPENS = re.compile(
    rf"(?:^|[。；;!！?？\n])[ \t　]*({NAME})(?=\s*[,，(（]\s*(?:男|女|[0-9]|现|住|患|于|因)|\s+(?:男|女)\s)",
    re.M,
)
NEAR = re.compile(rf"(?:{BEFORE})\s*[:：]?\s*({NAME}){ENDS}", re.M)
# a person who does something or is told of: "由张三签字", "据李四讲", "联系王五（139...)"
ACTS = re.compile(
    rf"(?:由|据|收治|家长|护工|陪护|陪人|联系|外院|本例为|病例为|医院|科室?|委托|通知|接诊时|陪诊的是|陪同的是|昨晚|今晨|昨夜|与|问诊[:：]|护士)\s*({NAME})"
    r"(?=完成|签字|签署|签收|主刀|操作|执刀|补充|陪护|陪同|代诉|讲|述|诉|称|说|反映|一例|协助|会诊|曾|转告|负责|审阅|书写|来院|取药|沟通|交接班|值夜?班|神志|谈话|[，,]\s?(?:手机|病案号|电话)|[（(]\s?[01]\d)"
)
TITLED = re.compile(rf"({NAME}|{SHORT})(?:{TITLE})")
VERBS = re.compile(
    r"[去到在于至往赴找看挂哪来的得先可及由经从是我您你他她它们您做用个家好]|就诊|入住|转入|当地|建议|应该|期望|这种|本地|一个|病人"
)
GENERIC_PLACE = re.compile(
    r"^(?:当地|外|我|本|你|您|贵|该|某|上级|正规|专科|综合|大|去|到|在|来|这家|那家|公立|私立|县级|市级|三甲|三级|地方|其他|其它|几家|多家|别的|各|的|一家|附近|相关|专业|人民|中医|妇产|儿童|精神|口腔|眼科|肿瘤|传染病|治疗|最好|先进|最先进|癫痫|癫痫病|肝病|肝炎|糖尿病|高血压|心脏|脑|大型|较大|不同|任何|定期|不定期|医|病|专科性|上|下|个|家|市|县|区|镇|乡|村|省|社区|中心|基层|皮肤|男科|妇科|骨科)*(?:医院|诊所|大学|卫生院|卫生所|门诊部|医学院|疗养院|卫生服务中心|妇幼保健院)$"
)


def find(text: str) -> Iterator[Span]:
    """Detect identifiers in Chinese text; a text without Chinese characters has none here.

    Yields:
        Spans in no order; they may overlap.
    """
    if not re.search(HAN, text):
        return
    names: list[tuple[int, int]] = []
    for at, piece in _pieces(text):
        yield from _shaped(piece, at)
        results = [
            match.span(1)
            for pattern in (LABELLED, WIDE, OPENS, NEAR, BARE, ACTS, TITLED)
            for match in pattern.finditer(piece)
        ]
        results = [
            (a, b) for a, b in results if piece[a:b] not in NOT_NAMES and piece[a : a + 2] not in NOT_NAMES
        ]
        results += [
            (run.start() + a, run.start() + b)
            for run in RUN.finditer(piece)
            for a, b in text_chinese_names.find(run[0])
        ]
        names += [(at + a, at + b) for a, b in results]
    names_found = sorted({text[a:b] for a, b in names if b - a >= 2}, key=lambda name: (-len(name), name))
    if names_found:  # a name that is known by what stands around it is one wherever it stands
        names += [match.span() for match in re.finditer("|".join(map(re.escape, names_found)), text)]
    for start, end in names:
        yield Span(start, end, "NAME")


def _pieces(text: str) -> Iterator[tuple[int, str]]:
    """Split into sentences, and long sentences into overlapping pieces, with their offsets: patterns take
    quadratic time in long texts.
    """
    for match in re.finditer(r"[^。！？!?；;]+[。！？!?；;]?", text):
        for at in range(match.start(), match.end(), PIECE - OVERLAP):
            yield at, text[at : min(at + PIECE, match.end())]


def _shaped(piece: str, at: int) -> Iterator[Span]:
    for kind, pattern in COMPILED:
        for match in pattern.finditer(piece):
            group = 1 if pattern.groups and match[1] else 0
            start, end = match.span(group)
            if kind == "PLACE":
                start += max(
                    (cut.end() for cut in VERBS.finditer(match[0]) if cut.end() < len(match[0])), default=0
                )
                if end - start < 4 or GENERIC_PLACE.fullmatch(piece[start:end]):
                    continue
            yield Span(at + start, at + end, kind)
