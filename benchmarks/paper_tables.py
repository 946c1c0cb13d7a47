"""The tables of five papers: data, commands, printed figures."""

import dataclasses

from papers import ENTRY, Command, Table, compare

WEIGHTS = ('vit_b16_384', 'vgg19', 'vgg16', 'raft_small', 'raft_large', 'inception_fid')
SUBS = tuple(f'irvi/monitoring_sub{k}' for k in range(1, 6))
LITE = tuple(f'infrared_city_lite/{name}' for name in (
    'city_clearday', 'city_overcast', 'city', 'highway_clearday', 'highway_overcast', 'highway',
    'traffic', 'monitor'))
ADVERSE = ('infrared_city_adverse/rain', 'infrared_city_adverse/snow')
NIGHT = ('flir_ntir2dc', 'kaist_ntir2dc')
VIPER = ('viper/img_512x256', 'viper/img_cls_512x256', 'viper/img_flow_512x256')
CITYSCAPES, DAVIS = 'cityscapes_sequence/512x256', 'davis2017_frames/480p'
DATASETS = {   # name of the records -> folder of the downloaded files
    'recycle_gan/flowers': 'downloads/recycle_gan',
    'irvi/traffic': 'downloads/irvi', 'irvi/monitoring_all': 'downloads/irvi',
    **dict.fromkeys(SUBS, 'downloads/irvi'),
    **dict.fromkeys(LITE, 'downloads/infrared_city_lite'),
    **dict.fromkeys(ADVERSE, 'downloads/infrared_city_adverse'),
    'flir_ntir2dc': 'downloads/flir', 'kaist_ntir2dc': 'downloads/kaist',
    **dict.fromkeys(VIPER, 'downloads/viper'),
    CITYSCAPES: 'downloads/cityscapes', DAVIS: 'downloads/davis',
}
MISSING = {
    'User studies (I2V-GAN, STC-V2V)': 'people judged; their answers were not published',
    'InfraredCity-Adverse (rain, snow)': 'promised with the code of CPTrans, which is not public '
                                         'so far; FLIR and KAIST are the nearest one can have',
    'PCSGAN, UNIT, DRIT++, ForkGAN, CyCADA': 'methods that this package does not have: train '
                                             'their public code, then `evaluate --result`',
    'BT (blind video consistency, in the tables of STC-V2V)': 'a network that works on the result '
        'of another method; the same way',
    'DlamGAN': 'no public code; `configs/morngan.py:paper-dlamgan` is an approximation after what '
               'the MornGAN paper says of it',
    'Boxes for the YOLO score of CPTrans': '4,320 frames that its authors labeled; not public',
    'HMSANet, Detectron2, PSPNet, YOLOv3 and v4, MRNet': 'networks that judge translations, of '
        'other programs; `translate --split test` writes what they read',
}


def spread(scores, **columns):
  """{column: {row: text}} of rows given in one order: spread(('A', 'B'), FID=('1', '2'))."""
  return {column: dict(zip(scores, values, strict=True)) for column, values in columns.items()}


# ---- I2V-GAN ----------------------------------------------------------------------------------

CUT, CYCLEGAN, MOCYCLE, RECYCLE, I2V = (f'configs/{name}.py:paper' for name in (
    'cut', 'cyclegan', 'mocyclegan', 'recyclegan', 'i2vgan'))
I2V_ROWS = {'CUT': CUT, 'CycleGAN': CYCLEGAN, 'Mocycle-GAN': MOCYCLE, 'Recycle-GAN': RECYCLE,
            'I2V-GAN': I2V}
# O: a term is added to the variant that I2V-GAN is built on, with its generator and frames, so that
# a row differs from I2V-GAN by terms alone.
RECYCLE_ADDED = ('configs/recyclegan.py:paper_cycle --config.gen.up=blur '
                 '--config.data.load_size=256')
MOCYCLE_ADDED = f'{MOCYCLE} --config.gen.blocks=6 --config.gen.up=blur --config.data.load_size=256'
I2V_TERMS = {
    'I2V-GAN': I2V,
    'I2V-GAN without perceptual': f'{I2V} --config.perceptual=none',
    'I2V-GAN without EXS': f'{I2V} --config.weights.exs=0',
    'I2V-GAN without INS': f'{I2V} --config.weights.ins=0',
    'Mocycle-GAN + perceptual': f'{MOCYCLE_ADDED} --config.perceptual=vgg',
    'Mocycle-GAN + EXS': f'{MOCYCLE_ADDED} --config.weights.exs=0.1',
    'Mocycle-GAN + INS': f'{MOCYCLE_ADDED} --config.weights.ins=40 --config.data.frames=3',
    'Recycle-GAN + perceptual': f'{RECYCLE_ADDED} --config.perceptual=vgg',
    'Recycle-GAN + EXS': f'{RECYCLE_ADDED} --config.weights.exs=0.1',
    'Recycle-GAN + INS': f'{RECYCLE_ADDED} --config.weights.ins=40',
}
I2V_BUDGET = ('--budget epochs', '--config.train.epochs=35', '--config.train.epochs_decay=35',
              '--config.eval.metrics=auto,fid')
I2V_DATA = ('recycle_gan/flowers', 'irvi/traffic', 'irvi/monitoring_all')
I2V_NAMES = ('CUT', 'PCSGAN', 'CycleGAN', 'Mocycle-GAN', 'Recycle-GAN', 'I2V-GAN')
I2V_TERM_NAMES = ('I2V-GAN', 'I2V-GAN without perceptual', 'I2V-GAN without EXS',
                  'I2V-GAN without INS', 'Mocycle-GAN + perceptual', 'Mocycle-GAN + EXS',
                  'Mocycle-GAN + INS', 'Recycle-GAN + perceptual', 'Recycle-GAN + EXS',
                  'Recycle-GAN + INS')
I2V_NOTES = (
    'The paper names no budget of the other methods: all rows get the 35 + 35 epochs of I2V-GAN\'s '
    'public command. Its flowers have no aligned truth as far as their names and counts tell; then '
    'PSNR and SSIM are left out with that reason.',)
I2VGAN = (
    Table('i2vgan-main', 'I2V-GAN', 'Table of all methods: flowers, traffic, monitoring', I2V_DATA,
          (compare('runs/i2vgan-main', I2V_ROWS, *I2V_BUDGET, data=I2V_DATA),),
          'FID / PSNR / SSIM', spread(
              I2V_NAMES,
              flowers=('0.7861 / 9.27 / 0.33', '0.5680 / 9.43 / 0.34', '0.8164 / 9.65 / 0.31',
                       '0.7135 / 9.39 / 0.37', '0.6306 / 9.41 / 0.37', '0.4891 / 10.58 / 0.40'),
              traffic=('0.5739 / 16.86 / 0.56', '0.6436 / 15.32 / 0.55', '0.6714 / 14.87 / 0.54',
                       '0.7911 / 15.60 / 0.56', '0.5255 / 16.84 / 0.56', '0.4425 / 17.02 / 0.60'),
              monitoring=('1.0893 / 17.00 / 0.43', '0.8912 / 17.19 / 0.43', '0.8792 / 17.14 / 0.43',
                          '1.0515 / 17.09 / 0.43', '1.0609 / 16.34 / 0.43',
                          '0.8715 / 17.30 / 0.46')), I2V_NOTES),
    Table('i2vgan-sub', 'I2V-GAN', 'The five monitoring scenes', SUBS,
          (compare('runs/i2vgan-sub', I2V_ROWS, *I2V_BUDGET, data=SUBS),),
          'FID / PSNR / SSIM', spread(
              I2V_NAMES, **{
                  'sub-1': ('1.4348 / 15.87 / 0.45', '1.0963 / 15.18 / 0.48',
                            '1.4027 / 15.78 / 0.48', '1.5556 / 14.99 / 0.43',
                            '1.6680 / 14.64 / 0.44', '1.4840 / 14.81 / 0.51'),
                  'sub-2': ('0.6731 / 20.83 / 0.50', '0.7315 / 20.49 / 0.49',
                            '0.8056 / 19.43 / 0.50', '0.9847 / 19.39 / 0.50',
                            '0.7521 / 20.32 / 0.49', '0.5905 / 21.20 / 0.52'),
                  'sub-3': ('2.2294 / 13.13 / 0.41', '2.0843 / 13.37 / 0.40',
                            '2.1497 / 14.02 / 0.41', '2.5013 / 11.51 / 0.40',
                            '2.0387 / 13.15 / 0.43', '1.7916 / 14.11 / 0.47'),
                  'sub-4': ('1.0553 / 19.06 / 0.53', '1.1034 / 18.52 / 0.52',
                            '1.0359 / 18.43 / 0.52', '1.1040 / 18.84 / 0.54',
                            '1.2959 / 18.28 / 0.54', '0.9189 / 19.26 / 0.59'),
                  'sub-5': ('2.1973 / 14.13 / 0.15', '1.6808 / 14.52 / 0.14',
                            '1.6266 / 14.15 / 0.14', '2.1171 / 13.83 / 0.15',
                            '1.8518 / 13.13 / 0.14', '1.6015 / 13.96 / 0.15')})),
    Table('i2vgan-5', 'I2V-GAN', 'Table 5, terms left out, and added to other methods', I2V_DATA,
          (compare('runs/i2vgan-5', I2V_TERMS, *I2V_BUDGET, data=I2V_DATA),),
          'FID / PSNR / SSIM', spread(
              I2V_TERM_NAMES,
              flowers=('0.4891 / 10.58 / 0.40', '0.6016 / 10.37 / 0.39', '0.5141 / 9.91 / 0.38',
                       '0.5311 / 10.28 / 0.39', '0.6028 / 9.76 / 0.38', '0.6540 / 9.72 / 0.39',
                       '0.6238 / 9.67 / 0.37', '0.5387 / 9.61 / 0.39', '0.6194 / 10.01 / 0.39',
                       '0.5813 / 9.83 / 0.37'),
              traffic=('0.4425 / 17.02 / 0.60', '0.4987 / 16.24 / 0.59', '0.4688 / 16.65 / 0.58',
                       '0.4514 / 16.24 / 0.57', '0.6539 / 16.07 / 0.57', '0.7834 / 16.58 / 0.57',
                       '0.6828 / 16.30 / 0.58', '0.4520 / 16.84 / 0.57', '0.5259 / 16.88 / 0.58',
                       '0.4610 / 16.98 / 0.58'),
              monitoring=('0.8715 / 17.30 / 0.46', '1.0539 / 17.15 / 0.44', '0.9011 / 17.20 / 0.44',
                          '0.9996 / 17.19 / 0.44', '0.9002 / 17.20 / 0.44', '0.9529 / 17.14 / 0.44',
                          '0.9632 / 17.21 / 0.44', '0.9134 / 17.01 / 0.43', '1.0209 / 16.65 / 0.44',
                          '0.9353 / 16.92 / 0.44')),
          ('The paper says neither with which weights nor in which variant the other methods get a '
           'term: here with the weights of I2V-GAN, in the variant of Recycle-GAN that it is built '
           'on (with cycles and identity), and with its generator and frames in both.',)),
    Table('i2vgan-people', 'I2V-GAN', 'Judged by people', (), (), 'realism / fluency',
          spread(('I2V-GAN', 'best of the others'), **{'20 people, 1 to 10': ('8.33 / 9.10',
                                                                            '7.74 / 7.23')}),
          ('Cannot be repeated.',)),
)

# ---- CPTrans ----------------------------------------------------------------------------------

CPT = 'configs/cptrans.py:paper'
CPT_ROWS = {name: f'configs/{file}.py:cptrans-tables' for name, file in (
    ('CycleGAN', 'cyclegan'), ('CUT', 'cut'), ('F-LSeSim', 'lsesim'), ('Recycle-GAN', 'recyclegan'),
    ('Mocycle-GAN', 'mocyclegan'), ('Unsupervised Recycle-GAN', 'unsup_recycle'),
    ('I2V-GAN', 'i2vgan'), ('ROMA', 'roma'))}
CPT_ROWS['CPTrans'] = CPT
CPT_PARTS = {
    'baseline': f'{CPT} --config.co.enabled=false --config.weights.ctn=0',
    'without CO': f'{CPT} --config.co.enabled=false',
    'without CTN': f'{CPT} --config.weights.ctn=0',
    'CPTrans': CPT,
}
CPT_SCORES = ('--budget epochs', '--config.eval.metrics=auto,fid,kid',
              '--config.eval.kid_degrees=3,21')
CPT_IRVI = ('irvi/traffic', 'irvi/monitoring_all')
CPT_DATA = (*CPT_IRVI, *LITE, *ADVERSE)
CPT_THREE = {name: CPT_ROWS[name] for name in ('Recycle-GAN', 'I2V-GAN')}   # frames of a window
CPT_TWO = {name: text for name, text in CPT_ROWS.items() if name not in CPT_THREE}
CPT_PART_DATA = ('irvi/traffic', *ADVERSE)
CPT_PRINTED = {
    'irvi/traffic': ('0.3467 / 3.088', '0.2936 / 1.918'),
    'irvi/monitoring_all': ('0.7334 / 3.397', '0.7004 / 2.376'),
    'city_clearday': ('', '0.3728 / 2.757'), 'city_overcast': ('', '0.4393 / 4.403'),
    'city': ('0.3929 / 3.367', '0.3632 / 3.169'),
    'highway_clearday': ('', '0.3208 / 2.959'), 'highway_overcast': ('', '0.3475 / 3.094'),
    'highway': ('0.3444 / 4.344', '0.3234 / 3.440'),
    'traffic': ('0.2002 / 0.679', '0.1738 / 0.183'),
    'monitor': ('0.5488 / 0.706', '0.4742 / 0.457'),
    'rain': ('0.5577 / 2.519', '0.4760 / 1.791'), 'snow': ('0.5393 / 4.927', '0.4952 / 2.638'),
}
CPTRANS = (
    Table('cptrans-1', 'CPTrans', 'Table 1: all methods, FID and KID', CPT_DATA,
          (compare('runs/cptrans-1', CPT_ROWS, *CPT_SCORES, data=CPT_IRVI),
           compare('runs/cptrans-1', CPT_TWO, *CPT_SCORES, data=(*LITE, *ADVERSE)),
           Command(f'{ENTRY} prepare --input downloads/infrared_city_lite/monitor/trainA --output '
                   'footage/monitor --domain a --config.data.frames_per_image=2',
                   before='Published files of InfraredCity hold two frames, and Recycle-GAN and '
                   'I2V-GAN need three in a row. Where the files of a scene overlap, `prepare` '
                   'joins them into clips; here for `monitor`:'),
           Command(f'{ENTRY} prepare --input downloads/infrared_city_lite/monitor/trainB --output '
                   'footage/monitor --domain b --config.data.frames_per_image=2'),
           Command(f'{ENTRY} prepare --input downloads/infrared_city_lite/monitor/testA --output '
                   'footage/monitor --domain a --test_share 1'),
           compare('runs/cptrans-1/joined', CPT_THREE, *CPT_SCORES,
                   '--config.data.root=footage/monitor', '--config.data.frames_per_image=1',
                   source='folders')), 'FID / KID',
          spread(('ROMA', 'CPTrans'), **CPT_PRINTED),
          ('As in the paper, all rows have generators of 9 blocks and 100 epochs '
           '(`cptrans-tables`); other rows: see the paper\'s table 1. "all" of a scene is its '
           'config without a sky (`city`), "Traffic all" is `traffic`. FID and KID are against the '
           'visible training frames where a set has no visible test frames (InfraredCity), else '
           'against those: the paper does not say. UNIT and DRIT++ cannot be had here; rain and '
           'snow were not published so far. What else the paper leaves open, and what we took: '
           '[results.md](results.md#what-the-paper-leaves-open).',)),
    Table('cptrans-ablation', 'CPTrans', 'Content-aware optimization (CO) and CTN left out',
          CPT_PART_DATA,
          (compare('runs/cptrans-ablation', CPT_PARTS, *CPT_SCORES, data=CPT_PART_DATA),),
          'FID / KID', spread(
              ('baseline', 'without CO', 'without CTN', 'CPTrans'), **{
                  'irvi/traffic': ('0.3652 / 3.684', '0.3193 / 2.736', '0.3211 / 2.572',
                                   '0.2936 / 1.918'),
                  'rain': ('0.5751 / 2.986', '0.5056 / 1.986', '0.4981 / 2.311', '0.4760 / 1.791'),
                  'snow': ('0.5520 / 5.118', '0.5174 / 3.645', '0.4962 / 4.630',
                           '0.4952 / 2.638')}),
          ('On the built-in street, with the patches that CO chooses: '
           '`python benchmarks/cptrans_ablation.py --output runs/ablation`.',)),
    Table('cptrans-6', 'CPTrans', 'Figure 6: FID and KID at epochs 10 to 100', ('irvi/traffic',),
          (compare('runs/cptrans-6', {'ROMA': CPT_ROWS['ROMA'], 'CPTrans': CPT}, *CPT_SCORES,
                   '--config.eval.epochs=10,20,40,60,80,100', data=('irvi/traffic',)),), '', {},
          ('See the paper\'s figure 6. The curves are on the page `index.html` of the table.',)),
    Table('cptrans-ap', 'CPTrans', 'YOLO score: vehicles found in translations',
          ('infrared_city_lite/traffic',),
          (Command(f'{ENTRY} translate --workdir runs/cptrans-1/infrared_city_lite/traffic/$run-0 '
                   '--split test --output translated/cptrans-ap/$run --with_truth', 'run',
                   ('roma', 'cptrans'), 'After `cptrans-1`:'),
           Command(f'{ENTRY} evaluate --result translated/cptrans-ap/$run/result --source '
                   'translated/cptrans-ap/$run/source --config.eval.boxes=truth/vehicles.json '
                   '--config.eval.detections=found/cptrans-ap/$run.json --config.eval.metrics=ap '
                   '--output reports/cptrans-ap/$run', 'run', ('roma', 'cptrans'),
                   'A detector (YOLOv3 in the paper) reads `result` and writes a COCO file of what '
                   'it found; the truth is a COCO file of your own, car, bus and truck as one '
                   'class:')),
          'AP', {'vehicles': {'infrared itself': '25.0', 'visible by night': '26.1',
                              'I2V-GAN': '32.2', 'ROMA': '50.1', 'CPTrans': '58.1'}},
          ('The boxes of the paper are not public, so these figures cannot be repeated. I2V-GAN '
           'needs joined frames, as above for `monitor`.',)),
)

# ---- MornGAN ----------------------------------------------------------------------------------

MORN = 'configs/morngan.py:paper'
NIGHT_FRAMES = ('--config.data.resize=none', '--config.data.crop_size=256',
                '--config.eval.fid_reference=train_b')   # FLIR has ten visible test frames
STRETCH = '--config.eval.stretch=minmax'   # public test code of PearlGAN and MornGAN
NIGHT_ROWS = {
    'CycleGAN': CYCLEGAN,
    'ToDayGAN': 'configs/pearlgan.py:paper-todaygan',
    'ToDayGAN-TIR': f'configs/pearlgan.py:paper-todaygan_tir {STRETCH}',
    'PearlGAN': f'configs/pearlgan.py:paper {STRETCH}',
    'DlamGAN, approximated': f'configs/morngan.py:paper-dlamgan {STRETCH} '
                             '--config.data.labels_b=maps/flir',
    'MornGAN': f'{MORN} {STRETCH} --config.data.labels_b=maps/flir',
}
KAIST_ROWS = {name: text.replace(':paper', ':kaist' if 'morngan' in text or 'pearlgan' in text
                                 else ':paper').replace('maps/flir', 'maps/kaist')
              for name, text in NIGHT_ROWS.items()}
MORN_PARTS = {name: f'configs/morngan.py:paper{word} --config.data.labels_b=maps/flir'
              for name, word in (
                  ('baseline', '-baseline'), ('+ SC', '-sc'), ('+ SDP', '-sdp'),
                  ('+ MGCA', '-mgca'), ('+ CGR', '-cgr'), ('+ SR', ''))}
MORN_K = {f'{k} clusters': f'{MORN} --config.aca.clusters={k} --config.data.labels_b=maps/flir'
          for k in range(2, 7)}
APCE = '--config.eval.metrics=auto,apce'
NIGHT_RUNS = ('cyclegan', 'todaygan', 'todaygan-tir', 'pearlgan', 'dlamgan-approximated', 'morngan')
CROSSED = tuple(run for run in NIGHT_RUNS if run != 'todaygan-tir')
NIGHT_NAMES = ('CycleGAN', 'ToDayGAN', 'PearlGAN', 'DlamGAN', 'MornGAN')   # in the paper's tables


def night(name, rows, *more):
  """A table on FLIR: 80 epochs each."""
  return compare(f'runs/{name}', rows, '--budget epochs', *NIGHT_FRAMES, APCE, *more,
                 '--config.data.name=flir_ntir2dc')


def judged(table, runs, classes, metric='iou'):
  """Commands that write translations of a table's runs and score what another program found."""
  given = (f'--config.eval.labels=translated/{table}/$run/labels --config.eval.predictions='
           f'found/{table}/$run --config.eval.classes={classes}')
  lead = ('A parser (HMSANet in the paper) reads `result` and writes 8-bit PNGs of Cityscapes '
          'train ids under the same names; true class maps of the test frames are from the '
          'authors of PearlGAN and MornGAN:')
  if metric == 'ap':
    given = (f'--config.eval.boxes=translated/{table}/$run/boxes.json --config.eval.detections='
             f'found/{table}/$run.json --config.eval.ap_style=yolo --config.eval.ap_classes='
             f'{classes}')
    lead = ('A detector (YOLOv4 in the paper) reads `result` and writes a COCO file of what it '
            'found; `boxes.json` is the truth, moved to the cut of the frames:')
  else:
    given = given.replace(f'translated/{table}/$run/labels', f'truth/{classes}')
  return (
      Command(f'{ENTRY} translate --workdir runs/{table}/$run-0 --split test --output '
              f'translated/{table}/$run --with_truth', 'run', runs),
      Command(f'{ENTRY} evaluate --result translated/{table}/$run/result --source '
              f'translated/{table}/$run/source {given} --config.eval.metrics={metric} --output '
              f'reports/{table}-{metric.partition(",")[0]}/$run', 'run', runs, lead))


def crossed(trained, tested):
  """Commands that score runs of one set on the test frames of the other."""
  name = f'{trained}-to-{tested}'
  translate, evaluate = judged(name, CROSSED, tested, 'iou,apce')
  text = translate.text.replace(f'runs/{name}', f'runs/morngan-{trained}')
  text += f' --config.data.test_a={tested}_ntir2dc:test_a'
  return dataclasses.replace(translate, text=text), evaluate


MORN_MAPS_NOTE = (
    'MornGAN learns from class maps of the visible training frames (`maps/flir`, 8-bit PNGs under '
    'the names of the frames, Cityscapes train ids), which the paper made with HMSANet and '
    'Detectron2 (`data.labels_b_aux`). The rows that a paper table has and this one lacks (UNIT, '
    'DRIT++, ForkGAN and others) cannot be had here.')
SPEED = 'The bar of `translate` shows frames a second, files read and written.'
STRETCH_NOTE = (
    'The public test code of PearlGAN and MornGAN stretches every translated frame to the whole '
    'range before anybody judges it (`eval.stretch=minmax`), that of ToDayGAN does not; these '
    'commands do as each has it. For your own videos leave it off: it flickers.')
MORNGAN = (
    Table('morngan-flir', 'MornGAN', 'All methods on FLIR: classes and edges', ('flir_ntir2dc',),
          (night('morngan-flir', NIGHT_ROWS, '--config.train.epochs=41',
                 '--config.train.epochs_decay=39'),
           *judged('morngan-flir', NIGHT_RUNS, 'flir')),
          'mIoU', spread(NIGHT_NAMES, FLIR=('39.3', '40.5', '50.2', '51.2', '59.4')),
          ('80 epochs in every row, which MornGAN and PearlGAN both have; where the rate falls, it '
           'does so after 41, as in the public code of PearlGAN. That of MornGAN is constant.',
           'The IoU of MornGAN by class, as printed: road 98.7, building 84.0, sky 96.8, car 95.6, '
           'traffic sign 0.7, person 94.5, motorcycle 40.4, truck 1.2, bus 22.8; ours stand in '
           '`scores.json`. The paper draws APCE of the methods as curves (figure 8, below), and '
           'names 0.58 for MornGAN.', MORN_MAPS_NOTE, STRETCH_NOTE)),
    Table('morngan-kaist', 'MornGAN', 'All methods on KAIST', ('kaist_ntir2dc',),
          (compare('runs/morngan-kaist', KAIST_ROWS, '--budget epochs', *NIGHT_FRAMES, APCE,
                   '--config.data.name=kaist_ntir2dc', '--config.train.epochs=81',
                   '--config.train.epochs_decay=79'),
           *judged('morngan-kaist', NIGHT_RUNS, 'kaist')),
          'mIoU', spread(NIGHT_NAMES, KAIST=('27.6', '39.3', '44.4', '42.7', '51.5')),
          ('MornGAN has 160 epochs on KAIST, PearlGAN 120 in its own paper: here all rows have '
           '160. The IoU of MornGAN by class, as printed: road 93.7, building 72.2, sky 87.6, car '
           '72.5, traffic sign 7.2, person 61.1, motorcycle 4.2, bus 13.1.',)),
    Table('morngan-cross', 'MornGAN', 'Trained on one set, tested on the other', NIGHT,
          (*crossed('kaist', 'flir'), *crossed('flir', 'kaist')), 'mIoU / APCE',
          spread(NIGHT_NAMES, **{
              'KAIST to FLIR': ('15.8 / 0.07', '27.9 / 0.09', '37.8 / 0.21', '32.4 / 0.18',
                                '39.9 / 0.29'),
              'FLIR to KAIST': ('23.4 / 0.09', '18.5 / 0.10', '28.5 / 0.24', '20.2 / 0.30',
                                '41.6 / 0.45')}),
          ('After `morngan-flir` and `morngan-kaist`, whose runs these are.',)),
    Table('morngan-4', 'MornGAN', 'Table 4: objects found in translations', ('flir_ntir2dc',),
          judged('morngan-flir', NIGHT_RUNS, 'person,bicycle,car', 'ap'), '%', spread(
              NIGHT_NAMES, **{
                  'FLIR: AP of person / bicycle / car': (
                      '17.8 / 1.9 / 37.2', '19.0 / 1.5 / 53.3', '54.0 / 23.0 / 75.5',
                      '48.0 / 17.8 / 70.2', '79.5 / 29.5 / 82.9'),
                  'FLIR: mAP': ('19.0', '24.6', '50.8', '45.4', '63.9'),
                  'KAIST: precision / recall / AP of person': (
                      '4.7 / 2.8 / 1.1', '11.4 / 14.9 / 5.0', '21.0 / 39.8 / 25.8',
                      '26.1 / 32.0 / 23.0', '34.3 / 52.7 / 42.6')}),
          ('After `morngan-flir`. On KAIST likewise, with pedestrians alone; their boxes are not '
           'in the records: `--config.eval.boxes=` a COCO file of yours.',)),
    Table('morngan-5', 'MornGAN', 'Table 5: one part after the other', ('flir_ntir2dc',),
          (night('morngan-5', MORN_PARTS, STRETCH),
           *judged('morngan-5', ('baseline', 'sc', 'sdp', 'mgca', 'cgr', 'sr'), 'flir')),
          'mIoU / mIoU of small classes / APCE', spread(
              tuple(MORN_PARTS), FLIR=('50.5 / 23.8 / 0.38', '51.8 / 20.5 / 0.37',
                                       '54.0 / 23.6 / 0.39', '56.8 / 27.0 / 0.43',
                                       '58.5 / 30.8 / 0.58', '59.4 / 31.9 / 0.58'))),
    Table('morngan-k', 'MornGAN', 'Number of clusters K', ('flir_ntir2dc',),
          (night('morngan-k', MORN_K, STRETCH),
           *judged('morngan-k', tuple(f'{k}-clusters' for k in range(2, 7)), 'flir')),
          'mIoU / mIoU of small classes / APCE', spread(
              tuple(MORN_K), FLIR=('57.1 / 28.0 / 0.56', '58.6 / 30.2 / 0.58',
                                   '59.4 / 31.9 / 0.58', '55.5 / 26.1 / 0.57',
                                   '56.7 / 26.2 / 0.59'))),
    Table('morngan-8', 'MornGAN', 'Figure 8: edges found again, by threshold', ('flir_ntir2dc',),
          (), '', {}, ('After `morngan-flir`: the share at each of 99 thresholds stands in '
                       '`scores.json` of each run, and the curves on the page of the table. See '
                       'the paper\'s figure 8.',)),
    Table('morngan-size', 'MornGAN', 'Size and speed', (), (), 'parameters / seconds a frame', {
        'to translate': {'MornGAN': '46.7 MB / 0.01 (RTX 3090)'}},
        ('`parameters.txt` of any run of `morngan-flir`: encoder a and renderer b hold 11,665,297 '
         f'float32 numbers, 46.66 MB. {SPEED}',)),
)

# ---- STC-V2V ----------------------------------------------------------------------------------

STREETS = ('--budget steps', '--config.train.steps=200000', '--config.data.load_size=256,512',
           '--config.data.crop_size=256,512', '--config.data.train_a=viper/img_512x256:train',
           f'--config.data.train_b={CITYSCAPES}:train',
           '--config.data.test_a=viper/img_flow_512x256:validation',
           '--config.eval.metrics=auto,warping')
STC = 'configs/stc.py:paper'
STC_ROWS = {'STC-V2V': STC, 'CycleGAN': CYCLEGAN, 'Recycle-GAN': RECYCLE}
STC_PARTS = {
    'STC-V2V': STC,
    'without temporal': f'{STC} --config.weights.temporal=0',
    'without content': f'{STC} --config.weights.content=0',
    'average of both': f'{STC} --config.fuse.kind=average',
    'rule-based mask': f'{STC} --config.fuse.kind=mask',
}
STC_RUNS = ('stc-v2v', 'cyclegan', 'recycle-gan')
STC_PART_RUNS = ('stc-v2v', 'without-temporal', 'without-content', 'average-of-both',
                 'rule-based-mask')


def parsed(table, runs):
  """Commands that score the classes a parser finds in translations of VIPER."""
  return (
      Command(f'{ENTRY} translate --workdir runs/{table}/$run-0 --split test --output '
              f'translated/{table}/$run --with_truth '
              '--config.data.test_a=viper/img_cls_512x256:validation', 'run', runs),
      Command(f'{ENTRY} evaluate --result translated/{table}/$run/result '
              f'--config.eval.labels=translated/{table}/$run/labels --config.eval.predictions='
              f'found/{table}/$run --config.eval.classes=viper --config.eval.metrics=iou '
              f'--output reports/{table}/$run', 'run', runs,
              'A parser (PSPNet in the paper, at 1024 x 512) reads `result` and writes 8-bit PNGs '
              'of Cityscapes train ids under the same names:'))


STC_V2V = (
    Table('stc-2', 'STC-V2V', 'Table 2: warping error by the true motion of VIPER',
          (*VIPER, CITYSCAPES), (compare('runs/stc', STC_ROWS, *STREETS),), 'warping error', {
              'VIPER': {'STC-V2V': '0.000437', 'CycleGAN': '0.002017', 'CycleGAN + BT': '0.000829',
                        'CyCADA': '0.002003', 'CyCADA + BT': '0.000945', 'Recycle-GAN': '0.001640',
                        'the input itself': '0.000264'}},
          ('200,000 steps are our guess of the two days on one GPU that the paper has. Ours is the '
           'mean squared difference; `--config.eval.warp_kind=euclidean` is what the text of the '
           'paper says. It prints the temporal term for one direction, ours acts in both; '
           '`--config.temporal.directions=forward` in a row of STC-V2V is as printed.',)),
    Table('stc-1', 'STC-V2V', 'Table 1: classes found in translations of VIPER',
          (*VIPER, CITYSCAPES), parsed('stc', STC_RUNS), 'mIoU / fwIoU / pixel accuracy', {
              'PSPNet': {'STC-V2V': '35.14 / 65.08 / 77.13', 'CyCADA': '30.75 / 58.81 / 72.71',
                         'CyCADA + BT': '30.58 / 57.04 / 71.38',
                         'CycleGAN': '25.54 / 49.73 / 65.07',
                         'CycleGAN + BT': '26.07 / 49.41 / 64.87',
                         'Recycle-GAN': '25.10 / 48.85 / 64.02',
                         'Cityscapes itself': '64.69 / 86.27 / 92.18'}},
          ('After `stc-2`, whose runs these are.',)),
    Table('stc-3', 'STC-V2V', 'Ablation', (*VIPER, CITYSCAPES),
          (compare('runs/stc-3', STC_PARTS, *STREETS), *parsed('stc-3', STC_PART_RUNS)),
          'mIoU / pixel accuracy / warping error', {'VIPER': {
              'STC-V2V': '35.14 / 77.13 / 0.000437',
              'without temporal': '29.58 / 67.86 / 0.001241',
              'without content': '22.09 / 60.04 / 0.001082',
              'average of both': '28.78 / 69.38 / 0.000649',
              'rule-based mask': '15.65 / 54.58 / 0.000778'}}),
    Table('stc-4', 'STC-V2V', 'Table 4: a network that learns from translations',
          (*VIPER, CITYSCAPES),
          (Command('python benchmarks/label_transfer.py --runs runs/stc/stc-v2v-0 '
                   'runs/stc/cyclegan-0 runs/stc/recycle-gan-0 --train_a '
                   'viper/img_cls_512x256:train --target_frames cityscapes/leftImg8bit/val '
                   '--target_labels cityscapes/gtFine/val --label_map label_ids --absent zero '
                   '--output runs/stc-4', before='After `stc-2`; frames and labels of the target '
                   'are those of Cityscapes itself (`_labelIds.png` alone in `gtFine/val`):'),
           Command(f'{ENTRY} compare --output runs/street --seeds 0 --config.train.steps=400 '
                   '--config.data.load_size=72 --row STC=configs/stc.py:demo '
                   '--row CUT=configs/cut.py:demo',
                   before='The same on the built-in street, which needs no data:'),
           Command('python benchmarks/label_transfer.py --runs runs/street/stc-0 runs/street/cut-0 '
                   '--output runs/street-4')),
          'mIoU of 19 classes', {'Cityscapes': {
              'STC-V2V': '24.1', 'CyCADA': '21.9', 'Recycle-GAN': '21.2', 'CycleGAN': '20.5',
              'source alone': '13.0', 'target itself': '50.2'}},
          ('The paper trains a dilated residual network, we a small one '
           '(`i2vjax/evaluation/scene_segmenter.py`): its order can be '
           'compared, not its figures.',)),
    Table('stc-speed', 'STC-V2V', 'Speed', (), (), 'frames a second', {
        '512 x 256, GTX 1080 Ti': {'STC-V2V': '14.3'}},
        (f'{SPEED} As in the paper the motion is estimated on the way.',)),
    Table('stc-people', 'STC-V2V', 'Preferred by people', (), (), '%', {
        '30 people': {'STC-V2V, forward / backward': '79.78 / 41.78'}}, ('Cannot be repeated.',)),
)

# ---- GTC --------------------------------------------------------------------------------------


GTC_NOTES = (
    'The lowest row is pix2pix, as in the paper: single frames and a critic of patches, where the '
    'others have one logit a clip. Weights of its terms are not in the paper: those of pix2pix. '
    'The paper trains on 903 clips of 5 frames: `--config.data.stride` decides how many there are '
    '(`configs/gtc.py`).',)


def gtc_rows(task):
  """The four rows of the paper for 'color', 'superres' or 'segmentation'."""
  config = f'configs/gtc.py:paper-{task}'
  return {
      'image2image': f'configs/gtc.py:paper-image2image-{task}',
      'video2video': f'{config} --config.disc.residual=false --config.weights.temporal=0',
      '+ local': f'{config} --config.disc.residual=false',
      '+ local + global': config,
  }


def gtc(key, task, title, frames, targets, scores, figures):
  """A Table of GTC; frames and targets: the splits of DAVIS that a and b are."""
  places = [f'--config.data.{split}_{domain}={DAVIS}:{part}{kind}'
            for domain, kind in (('a', frames), ('b', targets)) if kind is not None
            for split, part in (('train', 'train'), ('test', 'validation'))]
  return Table(key, 'GTC', title, (DAVIS,),
               (compare(f'runs/{key}', gtc_rows(task), '--budget epochs', *places),), scores,
               spread(tuple(gtc_rows(task)), DAVIS=figures),
               GTC_NOTES)


GTC = (
    gtc('gtc-segmentation', 'segmentation', 'Frames to masks', '', '_masks', 'J / F / T',
        ('.5066 / .4617 / .3494', '.7290 / .7813 / .2006', '.7359 / .7932 / .1767',
         '.9229 / .9589 / .0537')),
    gtc('gtc-color', 'color', 'Gray to color', None, '', 'PSNR',
        ('33.03', '33.34', '34.82', '37.88')),
    gtc('gtc-superres', 'superres', 'Twice the size', None, '', 'PSNR',
        ('30.18', '30.72', '30.54', '33.00')),
)

TABLES = (*I2VGAN, *CPTRANS, *MORNGAN, *STC_V2V, *GTC)
